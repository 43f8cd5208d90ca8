#include "cluster/problems.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace pgrevive::cluster {
namespace {

constexpr std::uint64_t kMuchLag = 1u << 30;  // bytes of WAL
constexpr double kLongLag = 60;               // seconds
constexpr std::uint64_t kLittleDisk = 20;     // one part in so many

bool is_up(Phase phase) { return phase == Phase::running || phase == Phase::reindexing; }

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void judge_supervisor(const ClusterStatus& status, std::vector<Problem>& problems) {
  const auto& supervisor = status.supervisor;
  if (!status.half_removed.empty()) {
    problems.push_back(
        {.id = "half_removed",
         .text = "the cluster is being removed, or that was cut off: " +
                 status.half_removed.front() + " is of what is left",
         .remedy = "`cleanup` completes it; so does `start --anew`, which makes the cluster anew",
         .values = {{"place", status.half_removed.front()}}});
    return;
  }
  if (supervisor.phase == Phase::failed) {
    problems.push_back({.id = "failed",
                        .text = first_line(supervisor.error),
                        .remedy = "see to the cause, then `start`: it goes on where it stopped",
                        .values = {{"error", first_line(supervisor.error)},
                                   {"exit_code", std::to_string(supervisor.exit_code)}}});
  } else if (serves_unattended(status)) {
    problems.push_back({.id = "unattended",
                        .text = "nobody looks after the cluster, while servers of it run",
                        .remedy = "`start` looks after it again, and restarts none that runs"});
  } else if (!status.supervisor_running) {
    problems.push_back({.id = "stopped",
                        .text = "the cluster is not running, and nobody looks after it",
                        .remedy = "`start` brings it up"});
  }
}

void judge_node(const NodeStatus& node, std::vector<Problem>& problems) {
  const auto add = [&](const char* id, const std::string& text, const std::string& remedy,
                       std::map<std::string, std::string> values = {}) {
    problems.push_back({.id = id,
                        .subject = node.name,
                        .text = text,
                        .remedy = remedy,
                        .values = std::move(values)});
  };
  if (node.state != "accepting") {
    add("node_down",
        fmt::format("{} does not accept connections ({}{}{})", node.name, node.state,
                    node.error.empty() ? "" : ": ", node.error),
        fmt::format("look into `logs {}`", node.name),
        {{"state", node.state}, {"error", node.error}});
    return;
  }
  if (node.name == "primary") {
    if (node.role != "primary")
      add("not_primary", "the primary is still in recovery", "look into `logs primary`");
    return;
  }
  if (node.role != "replica") {
    add("promoted", fmt::format("{} was promoted, and is no replica any more", node.name),
        fmt::format("if nobody needs what was written to it: `rebuild {}` makes it anew",
                    node.name));
  } else if (node.replication != "streaming") {
    add("not_streaming",
        fmt::format("{} does not stream from the primary ({})", node.name,
                    node.replication.empty() ? "not known" : node.replication),
        fmt::format("look into `logs {}`", node.name), {{"state", node.replication}});
  }
}

void judge_load(const NodeStatus& node, std::vector<Problem>& problems) {
  const auto add = [&](const char* id, const std::string& text, const std::string& remedy,
                       const char* what, std::uint64_t value) {
    problems.push_back({.id = id,
                        .subject = node.name,
                        .grave = false,
                        .text = text,
                        .remedy = remedy,
                        .values = {{what, std::to_string(value)}}});
  };
  const auto behind = node.lag_bytes.value_or(0);
  const auto late = node.lag_seconds.value_or(0);
  constexpr const char* kWhy = "a long query on it, a slow disk or a slow network may hold it up";
  if (behind > kMuchLag)
    add("lag", fmt::format("{} is {} behind the primary", node.name, format_bytes(behind)), kWhy,
        "lag_bytes", behind);
  else if (late > kLongLag)
    add("lag", fmt::format("{} is {:.0f} s behind the primary", node.name, late), kWhy,
        "lag_seconds", static_cast<std::uint64_t>(late));
  if (node.disk_total_bytes > 0 && node.disk_free_bytes < node.disk_total_bytes / kLittleDisk)
    add("disk",
        fmt::format("only {} are free on the disk of {}", format_bytes(node.disk_free_bytes),
                    node.name),
        "make room: PostgreSQL stops when the disk is full", "free_bytes", node.disk_free_bytes);
}

}  // namespace

bool serves_unattended(const ClusterStatus& status) {
  return !status.supervisor_running &&
         std::ranges::find(status.nodes, "accepting", &NodeStatus::state) != status.nodes.end();
}

std::vector<Problem> find_problems(const ClusterStatus& status) {
  std::vector<Problem> problems;
  judge_supervisor(status, problems);
  const auto phase = status.supervisor.phase;
  const bool watched = (status.supervisor_running && (is_up(phase) || phase == Phase::failed)) ||
                       serves_unattended(status);
  if (watched) {
    for (const auto& node : status.nodes) judge_node(node, problems);
    if (!status.archiving_ok && status.nodes.front().role == "primary")
      problems.push_back({.id = "archiving",
                          .text = "WAL is not archived: " + status.archiving,
                          .remedy = "look into `logs primary` for what pgBackRest says; the disk "
                                    "of the primary fills up meanwhile",
                          .values = {{"error", status.archiving}}});
    if (!status.adminer_url.empty() && !status.adminer_answers)
      problems.push_back({.id = "adminer",
                          .text = "Adminer does not answer at " + status.adminer_url,
                          .remedy = "it is started again by itself; its log (adminer.log, or "
                                    "`logs adminer` with RUNTIME=docker) says why it ends",
                          .values = {{"url", status.adminer_url}}});
  }
  for (const auto& node : status.nodes) judge_load(node, problems);
  if (watched && status.collations && status.collations->indexes() > 0)
    problems.push_back({.id = "collations",
                        .grave = false,
                        .text = "indexes were built by another version of a collation than this "
                                "host's, so queries may miss rows",
                        .remedy = "`start --reindex` rebuilds exactly these"});
  return problems;
}

bool healthy(const ClusterStatus& status) {
  return status.supervisor_running && is_up(status.supervisor.phase) && status.archiving_ok &&
         std::ranges::none_of(find_problems(status),
                              [](const Problem& problem) { return problem.grave; });
}

}  // namespace pgrevive::cluster
