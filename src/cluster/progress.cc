#include "cluster/progress.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cluster/progress_json.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Phase, std::string_view>, 11> kPhases{
    {{Phase::preparing, "preparing"},
     {Phase::restoring, "restoring"},
     {Phase::recovering, "recovering"},
     {Phase::promoting, "promoting"},
     {Phase::configuring, "configuring"},
     {Phase::joining, "joining"},
     {Phase::reindexing, "reindexing"},
     {Phase::running, "running"},
     {Phase::stopping, "stopping"},
     {Phase::stopped, "stopped"},
     {Phase::failed, "failed"}}};

Phase phase_from(const json& j) {
  const auto text = j.get<std::string>();
  if (const auto phase = parse_phase(text)) return *phase;
  throw Error(ErrorKind::corrupt, "status.json: unknown phase '" + text + "'");
}

json to_value(const ReindexProgress& reindex) {
  return {{"indexes_total", reindex.indexes_total},
          {"indexes_done", reindex.indexes_done},
          {"now", reindex.now},
          {"failures", reindex.failures}};
}

ReindexProgress reindex_from(const json& j) {
  return {.indexes_total = j.at("indexes_total").get<std::size_t>(),
          .indexes_done = j.at("indexes_done").get<std::size_t>(),
          .now = j.at("now").get<std::string>(),
          .failures = j.at("failures").get<std::vector<std::string>>()};
}

}  // namespace

json to_value(const restore::Progress& progress) {
  json workers = json::array();
  for (const auto& worker : progress.workers)
    workers.push_back({{"file", worker.file},
                       {"bytes_done", worker.bytes_done},
                       {"bytes_total", worker.bytes_total},
                       {"files", worker.files}});
  return {{"workers", workers},
          {"files_total", progress.files_total},
          {"files_done", progress.files_done},
          {"bytes_total", progress.bytes_total},
          {"bytes_done", progress.bytes_done},
          {"bytes_kept", progress.bytes_kept},
          {"fetched_total", progress.fetched_total},
          {"fetched", progress.fetched},
          {"requests", progress.requests}};
}

restore::Progress progress_from(const json& j) {
  restore::Progress progress;
  progress.files_total = j.at("files_total").get<std::uint64_t>();
  progress.files_done = j.at("files_done").get<std::uint64_t>();
  progress.bytes_total = j.at("bytes_total").get<std::uint64_t>();
  progress.bytes_done = j.at("bytes_done").get<std::uint64_t>();
  progress.bytes_kept = j.at("bytes_kept").get<std::uint64_t>();
  progress.fetched_total = j.at("fetched_total").get<std::uint64_t>();
  progress.fetched = j.at("fetched").get<std::uint64_t>();
  progress.requests = j.at("requests").get<std::uint64_t>();
  if (const auto workers = j.find("workers"); workers != j.end())
    for (const auto& worker : *workers)
      progress.workers.push_back({.file = worker.at("file").get<std::string>(),
                                  .bytes_done = worker.at("bytes_done").get<std::uint64_t>(),
                                  .bytes_total = worker.at("bytes_total").get<std::uint64_t>(),
                                  .files = worker.at("files").get<std::uint64_t>()});
  return progress;
}

json to_value(const std::vector<Notice>& notices) {
  json list = json::array();
  for (const auto& notice : notices)
    list.push_back({{"id", notice.id}, {"text", notice.text}, {"values", notice.values}});
  return list;
}

std::vector<Notice> notices_from(const json& j) {
  std::vector<Notice> notices;
  for (const auto& notice : j) {
    if (notice.is_string())
      notices.push_back({.text = notice.get<std::string>()});
    else
      notices.push_back({.id = notice.at("id").get<std::string>(),
                         .text = notice.at("text").get<std::string>(),
                         .values = notice.at("values").get<std::map<std::string, std::string>>()});
  }
  return notices;
}

json to_value(const std::vector<PhaseTime>& phases) {
  json list = json::array();
  for (const auto& time : phases)
    list.push_back(
        {{"phase", name(time.phase)}, {"began_ms", time.began_ms}, {"ended_ms", time.ended_ms}});
  return list;
}

std::vector<PhaseTime> phases_from(const json& j) {
  std::vector<PhaseTime> phases;
  for (const auto& time : j)
    phases.push_back({.phase = phase_from(time.at("phase")),
                      .began_ms = time.at("began_ms").get<std::int64_t>(),
                      .ended_ms = time.at("ended_ms").get<std::int64_t>()});
  return phases;
}

json to_value(const RecoveryEnd& end) {
  return {{"target", end.target},
          {"timeline", end.timeline},
          {"lsn", end.lsn},
          {"last_commit_time", end.last_commit_time},
          {"newest_archived_wal", end.newest_archived_wal},
          {"last_replayed_wal", end.last_replayed_wal},
          {"wal_left", end.wal_left},
          {"before_target_us", end.before_target_us ? json(*end.before_target_us) : json(nullptr)},
          {"new_timeline", end.new_timeline},
          {"fork_lsn", end.fork_lsn}};
}

RecoveryEnd recovery_end_from(const json& j) {
  RecoveryEnd end;
  end.target = j.at("target").get<std::string>();
  end.timeline = j.at("timeline").get<std::uint32_t>();
  end.lsn = j.at("lsn").get<std::string>();
  end.last_commit_time = j.at("last_commit_time").get<std::string>();
  end.newest_archived_wal = j.at("newest_archived_wal").get<std::string>();
  end.last_replayed_wal = j.at("last_replayed_wal").get<std::string>();
  // Neither is in what an older version has written.
  end.wal_left = j.value("wal_left", std::uint64_t{0});
  if (const auto time = j.find("before_target_us"); time != j.end() && !time->is_null())
    end.before_target_us = time->get<std::int64_t>();
  end.new_timeline = j.at("new_timeline").get<std::uint32_t>();
  end.fork_lsn = j.at("fork_lsn").get<std::string>();
  return end;
}

std::string_view name(Phase phase) {
  for (const auto& [known, text] : kPhases)
    if (known == phase) return text;
  throw Error(ErrorKind::internal, "a phase has no name");
}

std::optional<Phase> parse_phase(std::string_view text) {
  for (const auto& [known, name] : kPhases)
    if (name == text) return known;
  return {};
}

std::string to_json(const SupervisorStatus& status) {
  json warnings = json::array();
  for (const auto& notice : status.notices) warnings.push_back(notice.text);
  const json j = {
      {"cluster_name", status.cluster_name},
      {"pid", status.pid},
      {"phase", name(status.phase)},
      {"phases", to_value(status.phases)},
      {"restore", to_value(status.restore)},
      {"restore_retries", status.restore_retries},
      {"restore_throttled", status.restore_throttled},
      {"backup_label", status.backup_label},
      {"wal_segments_total", status.wal_segments_total},
      {"wal_segments_done", status.wal_segments_done},
      {"replay_lsn", status.replay_lsn},
      {"recovery_end", status.recovery_end ? to_value(*status.recovery_end) : json(nullptr)},
      {"reindex", status.reindex ? to_value(*status.reindex) : json(nullptr)},
      {"request", status.request ? to_value(*status.request) : json(nullptr)},
      {"error", status.error},
      {"exit_code", status.exit_code},
      {"warnings", warnings},
      {"notices", to_value(status.notices)},
      {"dropped_settings", status.dropped_settings},
      {"changed_settings", status.changed_settings},
      {"restarts", status.restarts},
  };
  // Messages may quote a server or a file name that is not UTF-8.
  return j.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

SupervisorStatus status_from_json(const std::string& text) {
  try {
    const json j = json::parse(text);
    SupervisorStatus status;
    status.cluster_name = j.at("cluster_name").get<std::string>();
    status.pid = j.at("pid").get<std::int64_t>();
    status.phase = phase_from(j.at("phase"));
    status.phases = phases_from(j.at("phases"));
    status.restore = progress_from(j.at("restore"));
    status.restore_retries = j.value("restore_retries", std::int64_t{0});
    status.restore_throttled = j.value("restore_throttled", std::int64_t{0});
    status.backup_label = j.at("backup_label").get<std::string>();
    status.wal_segments_total = j.at("wal_segments_total").get<std::int64_t>();
    status.wal_segments_done = j.at("wal_segments_done").get<std::int64_t>();
    status.replay_lsn = j.at("replay_lsn").get<std::string>();
    if (const auto& end = j.at("recovery_end"); !end.is_null())
      status.recovery_end = recovery_end_from(end);
    if (const auto reindex = j.find("reindex"); reindex != j.end() && !reindex->is_null())
      status.reindex = reindex_from(*reindex);
    if (const auto request = j.find("request"); request != j.end() && !request->is_null())
      status.request = request_report_from(*request);
    status.error = j.at("error").get<std::string>();
    status.exit_code = j.at("exit_code").get<int>();
    status.notices = notices_from(j.contains("notices") ? j.at("notices") : j.at("warnings"));
    status.dropped_settings = j.at("dropped_settings").get<std::vector<std::string>>();
    status.changed_settings = j.value("changed_settings", std::vector<std::string>());
    status.restarts = j.at("restarts").get<int>();
    return status;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, "status.json cannot be read: " + printable(error.what()));
  }
}

}  // namespace pgrevive::cluster
