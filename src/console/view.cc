#include "console/view.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pgrevive::console {
namespace {

using nlohmann::json;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json to_value(const repository::RecoveryPoints& points) {
  json lines = json::array();
  for (const auto& line : points.lines) {
    lines.push_back({{"timeline", line.timeline.value()},
                     {"last_segment", line.last_segment},
                     {"end_lsn", line.end.text()},
                     {"reaches", line.reaches_time},
                     {"gaps", repository::gaps_json(line.gaps)}});
  }
  return {{"from", points.from}, {"missing", points.missing}, {"lines", lines}};
}

json to_value(const repository::ReportedBackup& reported) {
  const auto& backup = reported.backup;
  return {{"label", backup.label.text()},
          {"type", repository::name(backup.type())},
          {"started", backup.timestamp_start},
          {"stopped", backup.timestamp_stop},
          {"size", backup.size},
          {"repository_size", or_null(backup.repository_size)},
          {"prior", backup.prior ? json(backup.prior->text()) : json(nullptr)},
          {"wal_first", backup.archive_start.value_or("")},
          {"wal_last", backup.archive_stop.value_or("")},
          {"page_errors", backup.error.value_or(false)},
          {"recovery", reported.recovery ? to_value(*reported.recovery) : json(nullptr)}};
}

}  // namespace

std::vector<Window> recoverable_windows(const RepositoryView& repository) {
  std::vector<Window> all;
  if (!repository.stanza) return all;
  for (const auto& database : repository.stanza->databases) {
    if (!database.current) continue;
    for (const auto& backup : database.backups) {
      if (!backup.recovery || !backup.recovery->missing.empty()) continue;
      Window here{.from = backup.recovery->from, .to = backup.recovery->from};
      for (const auto& line : backup.recovery->lines)
        here.to = std::max(here.to, line.reaches_time);
      all.push_back(here);
    }
  }
  std::ranges::sort(all, {}, &Window::from);
  std::vector<Window> windows;
  for (const auto& window : all) {
    if (!windows.empty() && window.from <= windows.back().to)
      windows.back().to = std::max(windows.back().to, window.to);
    else
      windows.push_back(window);
  }
  return windows;
}

std::string why_unreadable(const repository::StanzaReport& stanza) {
  using repository::StanzaStatus;
  if (stanza.failure) return stanza.failure->what();
  if (stanza.status != StanzaStatus::ok && stanza.status != StanzaStatus::no_backups)
    return fmt::format("stanza {}: {}", stanza.name, repository::message(stanza.status));
  for (const auto& database : stanza.databases)
    if (database.current && !database.recovery_problem.empty()) return database.recovery_problem;
  return {};
}

std::optional<std::int64_t> newest_backup(const RepositoryView& repository) {
  std::optional<std::int64_t> newest;
  if (!repository.stanza) return newest;
  for (const auto& database : repository.stanza->databases)
    for (const auto& backup : database.backups)
      newest = std::max(newest.value_or(0), backup.backup.timestamp_stop);
  return newest;
}

json to_value(const RepositoryView& repository) {
  json databases = json::array();
  json stanza = nullptr;
  if (repository.stanza) {
    for (const auto& database : repository.stanza->databases) {
      json backups = json::array();
      for (const auto& backup : database.backups) backups.push_back(to_value(backup));
      databases.push_back(
          {{"archive_id", database.archive_id},
           {"current", database.current},
           {"wal", database.wal ? json{{"first", database.wal->min}, {"last", database.wal->max}}
                                : json(nullptr)},
           {"recovery_problem", database.recovery_problem},
           {"backups", backups}});
    }
    stanza = {{"name", repository.stanza->name},
              {"status", repository::message(repository.stanza->status)},
              {"problem", repository.stanza->failure ? repository.stanza->failure->what() : ""},
              {"encrypted", repository.stanza->encrypted},
              {"databases", databases}};
  }
  json windows = json::array();
  for (const auto& window : recoverable_windows(repository))
    windows.push_back({{"from", window.from}, {"to", window.to}});
  return {{"read_ms", repository.read_ms},
          {"place", repository.place},
          {"error", repository.error},
          {"stanza", stanza},
          {"recoverable", windows}};
}

json to_value(const View& view) {
  return {{"time_ms", view.time_ms},
          {"failure", view.failure},
          {"status", json::parse(cluster::to_json(view.status))},
          {"pace",
           {{"bytes_per_second", view.rates.bytes_per_second},
            {"average_bytes_per_second", view.rates.average_bytes_per_second},
            {"left_ms", or_null(view.rates.left_ms)},
            {"segments_per_second", view.rates.segments_per_second},
            {"wal_left_ms", or_null(view.rates.wal_left_ms)}}}};
}

}  // namespace pgrevive::console
