#include "repository/info_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "repository/layout.h"

namespace pgrevive::repository {

namespace {

using nlohmann::json;

// This program looks at one repository at a time; pgBackRest numbers its from 1.
constexpr int kRepositoryKey = 1;

// pgBackRest leaves these out of a backup's databases.
bool is_template(std::string_view name) { return name == "template0" || name == "template1"; }

std::string_view without_data_directory(std::string_view name) {
  constexpr std::string_view kData = "pg_data/";
  return name.starts_with(kData) ? name.substr(kData.size()) : name;
}

BackupDetails details_of(const Manifest& manifest) {
  BackupDetails details;
  for (const auto& database : manifest.databases) {
    if (!is_template(database.name))
      details.databases.push_back({std::string(database.name), database.oid});
  }
  for (const auto& target : manifest.targets) {
    if (!target.is_link) continue;
    if (target.tablespace_oid != 0) {
      details.tablespaces.push_back(
          {std::string(target.tablespace_name), std::string(target.path), target.tablespace_oid});
    } else if (!target.file.empty()) {
      details.links.push_back(
          {std::string(target.file), fmt::format("{}/{}", target.path, target.file)});
    } else {
      details.links.push_back(
          {std::string(without_data_directory(target.name)), std::string(target.path)});
    }
  }
  for (const auto& file : manifest.files) {
    if (file.page_checksums_ok == false)
      details.damaged_files.emplace_back(without_data_directory(file.name));
  }
  return details;
}

// The archive id of a database of backup.info. The history ids of the two files can differ when one
// of them was made anew, so the cluster decides where the id does not fit.
std::string archive_id_of(const ArchiveInfo& archive, const DatabaseHistory& database) {
  const auto matching = archive.matching(database.system_id, database.version);
  if (matching.empty()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("archive.info does not know the cluster with system identifier {} of "
                            "PostgreSQL {}, which backup.info lists",
                            database.system_id, database.version.text()));
  }
  const auto same_id = std::ranges::find(matching, database.id, &DatabaseHistory::id);
  return ArchiveInfo::archive_id(same_id != matching.end() ? *same_id : matching.back());
}

// What an archive holds, listed once, when it is first asked for.
class Contents {
 public:
  explicit Contents(const WalArchive& archive) : archive_(archive) {}
  const ArchiveContents& get() {
    if (!contents_) contents_ = load_contents(archive_);
    return *contents_;
  }

 private:
  const WalArchive& archive_;
  std::optional<ArchiveContents> contents_;
};

void add_recovery_points(ReportedDatabase& reported, Contents& listed) {
  if (reported.backups.empty()) return;
  try {
    const auto& contents = listed.get();
    std::vector<Backup> all;
    for (const auto& each : reported.backups) all.push_back(each.backup);
    for (auto& each : reported.backups)
      each.recovery = find_recovery_points(each.backup, all, contents);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    reported.recovery_problem = error.what();
  }
}

// A source that has nothing to do fills segments without a commit, one in each archive_timeout.
constexpr std::size_t kLastSegments = 8;

void look_for_commit(ReportedTimeline& reported, const std::vector<postgres::WalSegment>& segments,
                     const WalArchive& archive, const ReportOptions& options) {
  try {
    for (const auto& each : segments) {
      const auto segment = archive.find_segment(each.name());
      if (!segment) continue;  // expired since
      ++reported.segments_read;
      reported.newest_commit = options.newest_commit(archive, *segment);
      if (reported.newest_commit) return;
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    reported.problem = error.what();
  }
}

void add_timelines(ReportedDatabase& reported, const WalArchive& archive, Contents& listed,
                   const ReportOptions& options) {
  const auto& contents = listed.get();
  for (const auto& [timeline, numbers] : contents.segments) {
    std::vector<postgres::WalSegment> last;  // newest first
    for (auto number = numbers.rbegin(); number != numbers.rend() && last.size() < kLastSegments;
         ++number)
      last.emplace_back(timeline, *number, contents.segment_size);
    if (last.empty()) continue;
    ReportedTimeline end{.timeline = timeline, .last_segment = last.front().name()};
    look_for_commit(end, last, archive, options);
    reported.timelines.push_back(std::move(end));
  }
}

void fill(StanzaReport& report, const Repository& repository, const ReportOptions& options) {
  const auto info = repository.load_backup_info();
  const auto archive_info = repository.load_archive_info();
  for (const auto& database : info.history) {
    ReportedDatabase reported{.database = database};
    reported.current = database.id == info.current_id;
    reported.archive_id = archive_id_of(archive_info, database);
    const WalArchive archive(repository, archive_info, database.system_id, database.version);
    reported.wal = archive.range(reported.archive_id);
    for (const auto& backup : info.backups) {
      if (backup.database_id == database.id) reported.backups.push_back({.backup = backup});
    }
    Contents contents(archive);
    if (options.recovery_points) add_recovery_points(reported, contents);
    if (options.newest_commit && reported.recovery_problem.empty())
      add_timelines(reported, archive, contents, options);
    if (options.set) {
      std::erase_if(reported.backups,
                    [&](const ReportedBackup& each) { return each.backup.label != *options.set; });
      for (auto& each : reported.backups)
        each.details = details_of(repository.load_manifest(info, each.backup.label));
    }
    report.databases.push_back(std::move(reported));
  }
  if (info.backups.empty()) report.status = StanzaStatus::no_backups;
  if (options.set && info.find(*options.set) == nullptr)
    report.status = StanzaStatus::backup_missing;
}

// Which of the ways of not being there it is; `other` if it is none of them.
StanzaStatus absence(const Repository& repository) {
  const auto& storage = repository.storage();
  const std::string path = layout::backup_info(repository.stanza());
  if (storage.stat(path) || storage.stat(layout::copy_of(path))) return StanzaStatus::other;
  const auto folders = storage.list("backup");
  const bool has_folder = std::ranges::any_of(folders, [&](const storage::Entry& entry) {
    return entry.directory && entry.name == repository.stanza();
  });
  return has_folder ? StanzaStatus::missing_stanza_data : StanzaStatus::missing_stanza_path;
}

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json links_json(const std::vector<ReportedLink>& links) {
  if (links.empty()) return nullptr;
  json list = json::array();
  for (const auto& link : links) {
    json item{{"name", link.name}, {"destination", link.destination}};
    if (link.oid != 0) item["oid"] = link.oid;
    list.push_back(std::move(item));
  }
  return list;
}

json recovery_json(const RecoveryPoints& points) {
  json lines = json::array();
  for (const auto& line : points.lines) {
    lines.push_back({{"timeline", line.timeline.value()},
                     {"last-segment", line.last_segment},
                     {"end-lsn", line.end.text()},
                     {"reaches", line.reaches_time},
                     {"gap", gaps_json(line.gaps)}});
  }
  return {{"from", points.from},
          {"missing", points.missing.empty() ? json(nullptr) : json(points.missing)},
          {"line", std::move(lines)}};
}

json backup_json(const ReportedBackup& reported) {
  const Backup& backup = reported.backup;
  json result;
  result["label"] = backup.label.text();
  result["type"] = name(backup.type());
  result["prior"] = backup.prior ? json(backup.prior->text()) : json(nullptr);
  json references = json::array();
  for (const auto& label : backup.references) references.push_back(label.text());
  result["reference"] = references.empty() ? json(nullptr) : std::move(references);
  result["archive"] = {{"start", or_null(backup.archive_start)},
                       {"stop", or_null(backup.archive_stop)}};
  result["backrest"] = {{"format", backup.backrest_format}, {"version", backup.backrest_version}};
  result["database"] = {{"id", backup.database_id}, {"repo-key", kRepositoryKey}};
  json repository{{"delta", backup.repository_size_delta}};
  if (backup.repository_size) repository["size"] = *backup.repository_size;
  if (backup.repository_size_map) {
    repository["size-map"] = *backup.repository_size_map;
    repository["delta-map"] = or_null(backup.repository_size_map_delta);
  }
  result["info"] = {
      {"size", backup.size}, {"delta", backup.size_delta}, {"repository", std::move(repository)}};
  result["timestamp"] = {{"start", backup.timestamp_start}, {"stop", backup.timestamp_stop}};
  if (backup.error) result["error"] = *backup.error;
  if (backup.lsn_start && backup.lsn_stop)
    result["lsn"] = {{"start", backup.lsn_start->text()}, {"stop", backup.lsn_stop->text()}};
  if (!backup.annotations.empty()) result["annotation"] = backup.annotations;

  if (reported.details) {
    const BackupDetails& details = *reported.details;
    result["database-ref"] = json::array();
    for (const auto& database : details.databases)
      result["database-ref"].push_back({{"name", database.name}, {"oid", database.oid}});
    result["link"] = links_json(details.links);
    result["tablespace"] = links_json(details.tablespaces);
    if (!details.damaged_files.empty()) {
      result["error-list"] = details.damaged_files;
      result["error"] = true;
    }
  }
  if (reported.recovery) result["recovery"] = recovery_json(*reported.recovery);
  return result;
}

// As exactly as a target of time may be given.
std::string moment_text(std::int64_t microseconds) {
  const auto text =
      format_time(std::chrono::system_clock::time_point(std::chrono::microseconds(microseconds)));
  constexpr std::size_t kSeconds = std::string_view("2026-11-22 14:05:00").size();
  return fmt::format("{}.{:06}{}", text.substr(0, kSeconds), microseconds % 1'000'000,
                     text.substr(kSeconds));
}

json timelines_json(const std::vector<ReportedTimeline>& timelines) {
  json list = json::array();
  for (const auto& each : timelines) {
    json item{{"id", each.timeline.value()},
              {"max", each.last_segment},
              {"newest-commit",
               each.newest_commit ? json(moment_text(*each.newest_commit)) : json(nullptr)},
              {"segments-read", each.segments_read}};
    if (!each.problem.empty()) item["problem"] = each.problem;
    list.push_back(std::move(item));
  }
  return list;
}

json stanza_json(const StanzaReport& report) {
  json archives = json::array();
  json databases = json::array();
  std::vector<const ReportedBackup*> backups;
  for (const auto& reported : report.databases) {
    const DatabaseHistory& database = reported.database;
    databases.push_back({{"id", database.id},
                         {"repo-key", kRepositoryKey},
                         {"system-id", database.system_id},
                         {"version", database.version.text()}});
    if (reported.current || reported.wal) {
      json archive{{"id", reported.archive_id},
                   {"database", {{"id", database.id}, {"repo-key", kRepositoryKey}}},
                   {"min", reported.wal ? json(reported.wal->min) : json(nullptr)},
                   {"max", reported.wal ? json(reported.wal->max) : json(nullptr)}};
      if (!reported.timelines.empty()) archive["timeline"] = timelines_json(reported.timelines);
      if (!reported.recovery_problem.empty())
        archive["recovery-problem"] = reported.recovery_problem;
      archives.push_back(std::move(archive));
    }
    for (const auto& each : reported.backups) backups.push_back(&each);
  }
  std::ranges::stable_sort(backups, {},
                           [](const ReportedBackup* each) { return each->backup.timestamp_stop; });
  json backup_list = json::array();
  for (const auto* const each : backups) backup_list.push_back(backup_json(*each));

  const std::string_view cipher = report.encrypted ? "aes-256-cbc" : "none";
  const int code = static_cast<int>(report.status);
  const std::string detail =
      report.failure ? std::string(report.failure->what()) : std::string(message(report.status));
  const json not_held{{"held", false}};
  return {{"name", report.name},
          {"archive", std::move(archives)},
          {"backup", std::move(backup_list)},
          {"cipher", cipher},
          {"db", std::move(databases)},
          {"repo", json::array({{{"key", kRepositoryKey},
                                 {"cipher", cipher},
                                 {"status", {{"code", code}, {"message", detail}}}}})},
          {"status",
           {{"code", code},
            {"message", message(report.status)},
            {"lock", {{"backup", not_held}, {"restore", not_held}}}}}};
}

std::string time_text(std::int64_t seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
}

void append_recovery(std::string& text, const RecoveryPoints& recovery) {
  auto out = std::back_inserter(text);
  if (!recovery.missing.empty()) {
    fmt::format_to(
        out, "            recovery: not possible, WAL segment {} is missing from the archive\n",
        recovery.missing);
    return;
  }
  if (recovery.lines.empty()) {
    fmt::format_to(out, "            recovery: to {} only (made offline)\n",
                   time_text(recovery.from));
    return;
  }
  for (const auto& line : recovery.lines) {
    fmt::format_to(out, "            recovery: from {} to the end of WAL {} ({})",
                   time_text(recovery.from), line.last_segment, line.end.text());
    if (recovery.lines.size() > 1) fmt::format_to(out, ", timeline {}", line.timeline.value());
    if (line.reaches_time > recovery.from)
      fmt::format_to(out, ", which is later than {}", time_text(line.reaches_time));
    text += '\n';
    for (const auto& gap : line.gaps) {
      if (gap.count == 1) {
        fmt::format_to(out, "                gap in the archive: {} is missing\n", gap.first);
      } else {
        fmt::format_to(out,
                       "                gap in the archive: {} to {} ({} segments) are missing\n",
                       gap.first, gap.last, gap.count);
      }
    }
  }
}

void append_links(std::string& text, std::string_view title,
                  const std::vector<ReportedLink>& links) {
  if (links.empty()) return;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "            {}:\n", title);
  for (const auto& link : links) {
    fmt::format_to(out, "                {}{} => {}\n", printable(link.name),
                   link.oid != 0 ? fmt::format(" ({})", link.oid) : "",
                   printable(link.destination, 4096));
  }
}

void append_details(std::string& text, const BackupDetails& details) {
  auto out = std::back_inserter(text);
  std::vector<std::string> databases;
  for (const auto& database : details.databases)
    databases.push_back(fmt::format("{} ({})", printable(database.name), database.oid));
  fmt::format_to(out, "            databases: {}\n", fmt::join(databases, ", "));
  append_links(text, "links", details.links);
  append_links(text, "tablespaces", details.tablespaces);
  for (const auto& file : details.damaged_files)
    fmt::format_to(out, "            page checksum errors: {}\n", printable(file, 4096));
}

void append_backup(std::string& text, const ReportedBackup& reported) {
  const Backup& backup = reported.backup;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "\n        {} backup: {}\n", name(backup.type()), backup.label.text());
  fmt::format_to(out, "            time start/stop: {} / {}\n", time_text(backup.timestamp_start),
                 time_text(backup.timestamp_stop));
  if (backup.archive_start && backup.archive_stop) {
    fmt::format_to(out, "            wal start/stop: {} / {}\n", *backup.archive_start,
                   *backup.archive_stop);
  } else {
    text += "            wal start/stop: none (made offline)\n";
  }
  if (backup.lsn_start && backup.lsn_stop) {
    fmt::format_to(out, "            lsn start/stop: {} / {}\n", backup.lsn_start->text(),
                   backup.lsn_stop->text());
  }
  fmt::format_to(out, "            database size: {}, copied by this backup: {}\n",
                 format_bytes(backup.size), format_bytes(backup.size_delta));
  text += "            stored size: ";
  if (backup.repository_size)
    fmt::format_to(out, "{} with what it refers to, ", format_bytes(*backup.repository_size));
  fmt::format_to(out, "{} by this backup\n", format_bytes(backup.repository_size_delta));
  if (!backup.references.empty()) {
    std::vector<std::string_view> labels;
    for (const auto& label : backup.references) labels.push_back(label.text());
    fmt::format_to(out, "            refers to: {}\n", fmt::join(labels, ", "));
  }
  if (backup.error == true) text += "            page checksum errors were found by this backup\n";
  for (const auto& [key, value] : backup.annotations)
    fmt::format_to(out, "            {}: {}\n", printable(key), printable(value, 4096));
  if (reported.recovery) append_recovery(text, *reported.recovery);
  if (reported.details) append_details(text, *reported.details);
}

void append_timeline(std::string& text, const ReportedTimeline& reported) {
  auto out = std::back_inserter(text);
  fmt::format_to(out, "        newest commit on timeline {}: ", reported.timeline.value());
  if (reported.newest_commit)
    fmt::format_to(out, "{}\n", moment_text(*reported.newest_commit));
  else if (!reported.problem.empty())
    fmt::format_to(out, "not known: {}\n", printable(reported.problem, 4096));
  else
    fmt::format_to(out, "none in its last {} WAL segments\n", reported.segments_read);
}

void append_stanza(std::string& text, const StanzaReport& report) {
  auto out = std::back_inserter(text);
  fmt::format_to(out, "stanza: {}\n", printable(report.name));
  if (report.status == StanzaStatus::ok) {
    text += "    status: ok\n";
  } else {
    fmt::format_to(out, "    status: error ({})\n",
                   report.failure ? report.failure->what() : message(report.status));
    if (report.failure && !report.failure->hint().empty())
      fmt::format_to(out, "    hint: {}\n", report.failure->hint());
  }
  fmt::format_to(out, "    cipher: {}\n", report.encrypted ? "aes-256-cbc" : "none");
  for (const auto& reported : report.databases) {
    if (!reported.current && !reported.wal && reported.backups.empty()) continue;
    fmt::format_to(out, "\n    PostgreSQL {} ({}), system identifier {}\n",
                   reported.database.version.text(), reported.current ? "current" : "prior",
                   reported.database.system_id);
    if (reported.wal) {
      fmt::format_to(out, "        wal archive min/max ({}): {} / {}\n", reported.archive_id,
                     reported.wal->min, reported.wal->max);
    } else {
      fmt::format_to(out, "        wal archive ({}): empty\n", reported.archive_id);
    }
    for (const auto& each : reported.timelines) append_timeline(text, each);
    if (!reported.recovery_problem.empty())
      fmt::format_to(out, "        points of recovery are not known: {}\n",
                     reported.recovery_problem);
    for (const auto& backup : reported.backups) append_backup(text, backup);
  }
}

}  // namespace

std::string_view message(StanzaStatus status) {
  switch (status) {
    case StanzaStatus::ok:
      return "ok";
    case StanzaStatus::missing_stanza_path:
      return "missing stanza path";
    case StanzaStatus::no_backups:
      return "no valid backups";
    case StanzaStatus::missing_stanza_data:
      return "missing stanza data";
    case StanzaStatus::backup_missing:
      return "requested backup not found";
    case StanzaStatus::other:
      return "other";
  }
  return "";
}

StanzaReport report_stanza(const Repository& repository, const ReportOptions& options) {
  StanzaReport report{.name = repository.stanza()};
  report.encrypted = repository.encrypted();
  try {
    fill(report, repository, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    report.databases.clear();
    report.status = StanzaStatus::other;
    if (error.kind() == ErrorKind::not_found) {
      try {
        report.status = absence(repository);
      } catch (const Error&) {
        // The first error says why; the second look failed for the same reason.
      }
    }
    if (report.status == StanzaStatus::other) report.failure = error;
  }
  return report;
}

std::vector<StanzaReport> report_repository(const std::shared_ptr<const storage::Storage>& storage,
                                            const Secret& passphrase,
                                            const ReportOptions& options) {
  std::vector<StanzaReport> reports;
  for (const auto& stanza : Repository::list_stanzas(*storage))
    reports.push_back(report_stanza(Repository(storage, stanza, passphrase), options));
  return reports;
}

json gaps_json(const std::vector<WalGap>& gaps) {
  json list = json::array();
  for (const auto& gap : gaps)
    list.push_back({{"first", gap.first}, {"last", gap.last}, {"segments", gap.count}});
  return list;
}

nlohmann::json to_json(const std::vector<StanzaReport>& stanzas) {
  json list = json::array();
  for (const auto& stanza : stanzas) list.push_back(stanza_json(stanza));
  return list;
}

std::string to_json_text(const std::vector<StanzaReport>& stanzas) {
  return to_json(stanzas).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string to_text(const std::vector<StanzaReport>& stanzas) {
  if (stanzas.empty()) return "No stanzas exist in the repository.\n";
  std::string text;
  for (const auto& stanza : stanzas) {
    if (!text.empty()) text += '\n';
    append_stanza(text, stanza);
  }
  return text;
}

}  // namespace pgrevive::repository
