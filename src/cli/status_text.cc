#include "cli/status_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/collations_text.h"
#include "cli/front_door.h"
#include "cli/lag_line.h"
#include "cli/running_report.h"
#include "cluster/problems.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cli {
namespace {

using cluster::Check;
using cluster::Phase;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string lag_of(const cluster::NodeStatus& node) {
  if (!node.lag_bytes && !node.lag_seconds) return "-";
  std::string text;
  if (node.lag_bytes) text = format_bytes(*node.lag_bytes);
  if (node.lag_seconds)
    text += fmt::format("{}{:.1f} s", text.empty() ? "" : ", ", *node.lag_seconds);
  return text;
}

// Name and text in two columns; further lines of the text below the first.
std::string fact(std::string_view name, const std::string& text) {
  std::string result;
  bool first = true;
  for (const std::string& line : split(text, '\n')) {
    result += fmt::format("{:<10} {}\n", first ? name : "", line);
    first = false;
  }
  return result;
}

std::string headline(const cluster::ClusterStatus& status) {
  const cluster::SupervisorStatus& supervisor = status.supervisor;
  if (!status.supervisor_running) {
    if (supervisor.phase == Phase::failed) return "failed";
    return serves_unattended(status) ? "unattended" : "stopped";
  }
  std::string text(title(supervisor.phase));
  for (const cluster::PhaseTime& phase : supervisor.phases) {
    if (phase.phase == supervisor.phase && phase.ended_ms == 0 && phase.began_ms > 0) {
      text += " since " + format_time(std::chrono::system_clock::time_point(
                              std::chrono::milliseconds(phase.began_ms)));
    }
  }
  return text;
}

// Where the character begins that stands in that column.
std::size_t byte_of_column(const std::string& text, std::size_t column) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && seen++ == column) break;
  }
  return at;
}

std::string time_text(std::int64_t ms) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::milliseconds(ms)));
}

std::string problems_text(const cluster::ClusterStatus& status) {
  std::string text;
  for (const auto& problem : cluster::find_problems(status))
    text += fact("problem", problem.text + (problem.remedy.empty() ? "" : "\n" + problem.remedy));
  return text;
}

// What each worker is at, and what the storage had to say.
std::string work_text(const cluster::SupervisorStatus& supervisor) {
  constexpr std::size_t kRoom = 36;  // of a name, whose end tells more than its beginning
  constexpr std::size_t kMostWorkers = 4;
  std::string text;
  if (supervisor.restore_retries > 0)
    text += fact("retries", fmt::format("{}, {} of them because the storage asked for fewer",
                                        supervisor.restore_retries, supervisor.restore_throttled));
  const auto& workers = supervisor.restore.workers;
  for (std::size_t i = 0; i < std::min(workers.size(), kMostWorkers); ++i) {
    const auto& worker = workers[i];
    auto file = printable(worker.file, 1000);
    if (file.size() > kRoom) file = "..." + file.substr(file.size() - kRoom + 3);
    std::string doing = worker.files == 0 ? "waits" : fmt::format("{} files", worker.files);
    if (!file.empty())
      doing = fmt::format("{}  {} of {}{}", file, format_bytes(worker.bytes_done),
                          format_bytes(worker.bytes_total),
                          worker.files > 1 ? fmt::format(", {} more", worker.files - 1) : "");
    text += fact(fmt::format("worker {}", i + 1), doing);
  }
  if (workers.size() > kMostWorkers)
    text += fact("", fmt::format("and {} more workers", workers.size() - kMostWorkers));
  return text;
}

// Of a restore from the first to the last.
constexpr std::array kWay{Phase::preparing, Phase::restoring,   Phase::recovering,
                          Phase::promoting, Phase::configuring, Phase::joining};

std::string duration_text(std::int64_t ms) {
  return format_duration(std::chrono::milliseconds(ms));
}

// What a phase took when the cluster was brought up the last time, which is no promise; `unknown`
// where it never was.
std::string last_time(const cluster::ClusterStatus& status, Phase phase, std::string unknown) {
  const auto last = std::ranges::find(status.restores, "done", &cluster::PastRestore::outcome);
  if (last == status.restores.end()) return unknown;
  const auto took = cluster::phase_ms(last->phases, phase, 0);
  return took ? "last time " + duration_text(*took) : unknown;
}

// A phase a line while the cluster is brought up: how long it took, what is left of the one that is
// under way, and what the others took the last time. All in one once it is up.
std::string phases_text(const cluster::Sight& sight) {
  const auto phases = cluster::phases_of_restore(sight.status.supervisor.phases);
  std::vector<std::string> over;
  std::vector<std::vector<std::string>> rows;
  Phase current = Phase::stopped;
  for (const auto& phase : phases) {
    if (std::ranges::find(kWay, phase.phase) == kWay.end()) break;
    const bool open = phase.ended_ms == 0;
    const auto took = duration_text((open ? sight.time_ms : phase.ended_ms) - phase.began_ms);
    over.push_back(fmt::format("{} {}", title(phase.phase), took));
    std::string left;
    if (open) {
      const auto& known = phase.phase == Phase::restoring    ? sight.rates.left_ms
                          : phase.phase == Phase::recovering ? sight.rates.wal_left_ms
                                                             : std::nullopt;
      left = known ? duration_text(*known) + " left"
                   : last_time(sight.status, phase.phase, "time left unknown");
      current = phase.phase;
    }
    rows.push_back({std::string(title(phase.phase)), took, left});
  }
  const auto at = std::ranges::find(kWay, current);
  if (!sight.status.supervisor_running || at == kWay.end())
    return over.empty() ? "" : fact("phases", fmt::format("{}", fmt::join(over, ", ")));
  // A node that is made anew recovers beside a primary that runs.
  const bool whole = phases.front().phase == Phase::preparing;
  for (auto ahead = whole ? at + 1 : std::max(at + 1, kWay.end() - 1); ahead != kWay.end(); ++ahead)
    rows.push_back(
        {std::string(title(*ahead)), "-", last_time(sight.status, *ahead, "time unknown")});
  auto text = table(rows, {1});
  text.pop_back();
  return fact("phases", text);
}

// What came from the repository, and how fast.
std::string rates_text(const cluster::Sight& sight) {
  const auto& supervisor = sight.status.supervisor;
  const auto rate = [](double value) {
    return format_bytes(static_cast<std::uint64_t>(value)) + "/s";
  };
  if (supervisor.phase == Phase::restoring)
    return fact(
        "rate",
        fmt::format("{} now, {} on average; {} fetched in {} requests",
                    rate(sight.rates.bytes_per_second), rate(sight.rates.average_bytes_per_second),
                    format_bytes(supervisor.restore.fetched), supervisor.restore.requests));
  if (supervisor.phase == Phase::recovering)
    return fact("rate", fmt::format("{:.1f} WAL segments/s now", sight.rates.segments_per_second));
  return "";
}

std::string restores_text(const std::vector<cluster::PastRestore>& restores) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, restores.size()); ++i) {
    const auto& restore = restores[i];
    text +=
        fmt::format("{}{}  {} in {}, {}", text.empty() ? "" : "\n", time_text(restore.began_ms()),
                    restore.outcome, duration_text(restore.ended_ms() - restore.began_ms()),
                    format_bytes(restore.progress.bytes_total));
  }
  return text;
}

std::string_view name(Check::Result result) {
  switch (result) {
    case Check::Result::passed:
      return "passed";
    case Check::Result::failed:
      return "failed";
    case Check::Result::not_applicable:
      return "not_applicable";
  }
  return "";
}

}  // namespace

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - columns(row[i]), ' ');
      const bool to_the_right = std::ranges::find(right, i) != right.end();
      line += (i == 0 ? "" : "  ") + (to_the_right ? blanks + row[i] : row[i] + blanks);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

namespace {

// "/x/archive, newest backup 20240115-020000F".
std::string archive_text(const cluster::ClusterStatus& status) {
  if (!status.archive_backup) return status.archive;
  if (!status.archive_backup->empty())
    return status.archive + ", newest backup " + *status.archive_backup;
  return fmt::format(
      "{}, no backup in it yet, so nothing can be restored from it: set WAL_ARCHIVE_BACKUP=full "
      "and restart, or run {}pgbackrest --config={} --stanza=... --type=full backup",
      status.archive,
      status.containers ? fmt::format("docker exec -u postgres {}-primary ", status.cluster_name)
                        : "",
      status.state_directory + "/pgbackrest/pgbackrest.conf");
}

// What only who looks again and again sees.
struct Watched {
  const cluster::Sight& sight;
  const Beside& beside;
  bool blocks;
};

std::string lags_text(const Watched& watched) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& node : watched.sight.status.nodes)
    if (const auto line =
            lag_line(watched.beside.lags, node.name, watched.sight.time_ms, watched.blocks);
        !line.empty())
      rows.push_back({node.name, line});
  auto text = table(rows);
  if (text.empty()) return text;
  text.pop_back();
  return fact("lag", text);
}

// `watched` is null where nobody looks again.
std::string text_of(const cluster::ClusterStatus& status, const Watched* watched) {
  const cluster::SupervisorStatus& supervisor = status.supervisor;
  std::string text = fact("cluster", fmt::format("{}: {}", status.cluster_name, headline(status)));
  text += fact("directory",
               status.containers
                   ? fmt::format("{} in {}-primary", status.state_directory, status.cluster_name)
                   : status.state_directory);
  if (!supervisor.backup_label.empty()) text += fact("backup", supervisor.backup_label);
  if (watched != nullptr) text += phases_text(watched->sight);
  if (status.supervisor_running) {
    const std::string detail =
        phase_detail(supervisor, watched != nullptr ? watched->sight.rates : cluster::Rates{}, 0);
    if (!detail.empty()) text += fact("progress", detail);
    if (watched != nullptr) text += rates_text(watched->sight);
    // What goes on comes before servers that are not there yet: a screen may have no room for all.
    if (supervisor.phase == Phase::restoring) text += work_text(supervisor);
    if (watched != nullptr && !watched->beside.log.empty())
      text += fact("log", fmt::format("{}", fmt::join(watched->beside.log, "\n")));
  }
  text += problems_text(status);

  std::vector<std::vector<std::string>> rows{
      {"node", "role", "port", "state", "tl", "lsn", "replication", "lag"}};
  for (const cluster::NodeStatus& node : status.nodes) {
    rows.push_back({node.name, or_dash(node.role), std::to_string(node.port), or_dash(node.state),
                    node.timeline == 0 ? "-" : std::to_string(node.timeline), or_dash(node.lsn),
                    or_dash(node.replication), lag_of(node)});
  }
  text += "\n" + table(rows, {2, 4});

  rows = {{"node", "version", "pid", "data", "disk free", "conn", "up since"}};
  for (const cluster::NodeStatus& node : status.nodes) {
    // "15.20 (Debian 15.20-0+deb12u1)": what the package is called is no news here.
    const std::string version = node.version.substr(0, node.version.find(' '));
    rows.push_back({node.name, or_dash(version), node.pid == 0 ? "-" : std::to_string(node.pid),
                    node.data_bytes == 0 ? "-" : format_bytes(node.data_bytes),
                    format_bytes(node.disk_free_bytes),
                    node.connections ? std::to_string(*node.connections) : "-",
                    node.started_ms == 0 ? "-" : time_text(node.started_ms)});
  }
  text += "\n" + table(rows, {2, 3, 4, 5}) + "\n";

  if (watched != nullptr) text += lags_text(*watched);
  for (const cluster::NodeStatus& node : status.nodes) {
    if (!node.error.empty()) text += fact(node.name, node.error);
    if (!node.made_because.empty()) text += fact(node.name, node.made_because);
  }
  if (supervisor.recovery_end) text += fact("recovery", recovery_text(*supervisor.recovery_end));
  if (!status.left_out.empty()) {
    std::vector<std::string> names;
    for (const restore::Database& database : status.left_out) {
      names.push_back(printable(database.text()));
    }
    text += fact("left out", fmt::format("{} (remove with DROP DATABASE)", fmt::join(names, ", ")));
  }
  if (!status.archiving.empty()) {
    text += fact("archiving", status.archiving + (status.archiving_ok ? "" : "  TROUBLE"));
  }
  if (!status.archive.empty()) text += fact("archive", archive_text(status));
  if (watched != nullptr && !watched->beside.source.empty())
    text += fact("source", watched->beside.source);
  if (!status.console_url.empty()) text += fact("console", status.console_url);
  if (!status.adminer_url.empty()) {
    text +=
        fact("Adminer", status.adminer_url + (status.adminer_answers ? "" : "  (does not answer)"));
  }
  if (supervisor.restarts > 0) {
    text += fact("restarts",
                 fmt::format("{} (a server died and was started again)", supervisor.restarts));
  }
  if (supervisor.reindex) text += fact("reindexed", reindex_text(*supervisor.reindex));
  if (status.collations) {
    // What nobody can ever know was news when it was restored.
    auto findings = *status.collations;
    findings.not_comparable.clear();
    const auto told =
        collations_text(findings, call_for(status.cluster_name), status.collations_file);
    if (!told.empty()) text += fact("collations", told);
  }
  if (!status.restores.empty()) text += fact("restores", restores_text(status.restores));
  if (const auto& request = supervisor.request)
    text +=
        fact("asked for", fmt::format("{} of {}: {}{}", request->act, request->node, request->state,
                                      request->error.empty() ? "" : ", " + request->error));
  for (const Notice& notice : supervisor.notices) text += fact("warning", notice.text);
  if (supervisor.phase == Phase::failed && !supervisor.error.empty()) {
    text += fact("error", supervisor.error);
  }
  return text;
}

}  // namespace

std::string status_text(const cluster::ClusterStatus& status) { return text_of(status, nullptr); }

std::string watch_text(const cluster::Sight& sight, const Beside& beside, bool blocks) {
  const Watched watched{.sight = sight, .beside = beside, .blocks = blocks};
  return text_of(sight.status, &watched);
}

std::string stale_watch_text(const std::string& last, std::chrono::seconds ago,
                             const std::string& error) {
  return fmt::format("cannot look at the cluster: {}\nas it was {} s ago:\n\n{}", error,
                     ago.count(), last);
}

std::string redraw(const std::string& text, std::size_t width, std::size_t height) {
  constexpr std::size_t kIndent = 11;  // that of fact()
  std::vector<std::string> lines;
  for (const std::string& line : split(text, '\n')) {
    std::string rest = line;
    std::string indent;
    while (columns(rest) > width - indent.size()) {
      // A word that is longer than all the room, as a path may be, is broken.
      std::size_t cut = byte_of_column(rest, width - indent.size());
      if (const auto blank = rest.rfind(' ', cut);
          blank != std::string::npos && blank > rest.find_first_not_of(' ')) {
        cut = blank;
      }
      lines.push_back(indent + rest.substr(0, cut));
      rest = trim(std::string_view(rest).substr(cut));
      indent.assign(kIndent, ' ');
    }
    lines.push_back(indent + rest);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  // The last line stays free: a line break there would move everything up.
  if (lines.size() + 1 > height) {
    lines.resize(height > 2 ? height - 2 : 0);
    lines.emplace_back("...");
  }
  // What stood there is removed before: behind a line as wide as the terminal the last character
  // would go too.
  std::string codes = "\x1b[H";
  for (const std::string& line : lines) codes += "\x1b[K" + line + "\r\n";
  return codes + "\x1b[J";
}

std::string checks_text(const std::vector<Check>& checks) {
  std::vector<std::vector<std::string>> rows;
  std::size_t passed = 0;
  std::size_t failed = 0;
  for (const Check& check : checks) {
    const char* word = "  -   ";
    if (check.result == Check::Result::passed) word = "  ok  ", ++passed;
    if (check.result == Check::Result::failed) word = "  FAIL", ++failed;
    rows.push_back({word, check.name, check.detail});
  }
  std::string text = table(rows);
  text += fmt::format("\n{} passed, {} failed", passed, failed);
  if (passed + failed < checks.size()) {
    text += fmt::format(", {} do not apply", checks.size() - passed - failed);
  }
  return text + "\n";
}

std::string checks_json(const std::vector<Check>& checks) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  bool passed = true;
  for (const Check& check : checks) {
    passed = passed && check.result != Check::Result::failed;
    list.push_back({{"id", check.id},
                    {"node", check.node},
                    {"name", check.name},
                    {"result", name(check.result)},
                    {"detail", check.detail}});
  }
  const nlohmann::ordered_json json{{"passed", passed}, {"checks", list}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pgrevive::cli
