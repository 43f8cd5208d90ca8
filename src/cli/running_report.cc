#include "cli/running_report.h"

#include <chrono>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/front_door.h"
#include "cluster/adminer.h"
#include "cluster/console_process.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cli {
namespace {

using cluster::Phase;

std::string duration_between(std::int64_t from_ms, std::int64_t to_ms) {
  return format_duration(std::chrono::milliseconds(to_ms - from_ms));
}

// "http://127.0.0.1:8080/" is "http://localhost:8080".
std::string for_people(std::string url) {
  constexpr std::string_view kThisHost = "//127.0.0.1:";
  if (const auto at = url.find(kThisHost); at != std::string::npos)
    url.replace(at, kThisHost.size(), "//localhost:");
  if (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

std::string reindex_text(const cluster::ReindexProgress& reindex) {
  std::string text = fmt::format("{} of {} indexes", reindex.indexes_done, reindex.indexes_total);
  for (const std::string& failure : reindex.failures) text += "\nfailed: " + failure;
  return text;
}

std::string running_report(const cluster::Settings& settings,
                           const cluster::SupervisorStatus& status, const std::string& collations) {
  std::string text = fmt::format("\n{} is running\n", settings.cluster_name);
  const auto line = [&](std::string_view name, const std::string& value) {
    bool first = true;
    for (const std::string& part : split(value, '\n')) {
      text += fmt::format("  {:<10} {}\n", first ? name : "", part);
      first = false;
    }
  };
  line("primary", fmt::format("localhost:{}  reads and writes", settings.primary_port));
  for (int i = 0; i < settings.replicas; ++i) {
    line(i == 0 ? "replica" : fmt::format("replica-{}", i + 1),
         fmt::format("localhost:{}  reads", settings.replica_port + i));
  }
  if (settings.console_port != 0) {
    line("console", for_people(cluster::console_url(settings)));
  }
  if (settings.adminer_port != 0) {
    line("Adminer", for_people(cluster::adminer_url(settings)));
  }
  line("connect", call_for(settings.cluster_name) + " psql primary");
  line("", fmt::format("psql -h localhost -p {} -U {} {}", settings.primary_port, settings.user,
                       settings.database));

  const cluster::PhaseTime* restoring = nullptr;
  std::int64_t began = 0;
  std::int64_t up = 0;
  for (const cluster::PhaseTime& phase : status.phases) {
    if (began == 0) began = phase.began_ms;
    if (phase.phase == Phase::restoring) restoring = &phase;
    if (phase.phase == Phase::running) up = phase.began_ms;
  }
  // A new cluster was made without a backup.
  if (restoring != nullptr && restoring->ended_ms != 0 && !status.backup_label.empty()) {
    line("restored",
         fmt::format("backup {}, {} in {} files, in {}", status.backup_label,
                     format_bytes(status.restore.bytes_total), status.restore.files_total,
                     duration_between(restoring->began_ms, restoring->ended_ms)));
  }
  if (began != 0 && up != 0) line("up after", duration_between(began, up));
  // Where recovery ended, and what was left out, is news only after a restore.
  if (restoring != nullptr && status.recovery_end) {
    line("recovery", recovery_text(*status.recovery_end));
  }
  if (status.reindex) line("reindexed", reindex_text(*status.reindex));
  if (!collations.empty()) line("collations", collations);
  for (const Notice& notice : status.notices) line("warning", notice.text);
  if (restoring != nullptr && !status.dropped_settings.empty()) {
    text += "not taken over from the source's configuration:\n";
    for (const std::string& setting : status.dropped_settings) text += "  " + setting + "\n";
  }
  if (restoring != nullptr && !status.changed_settings.empty()) {
    text += "other than in the source's configuration:\n";
    for (const std::string& setting : status.changed_settings) text += "  " + setting + "\n";
  }
  return text;
}

}  // namespace pgrevive::cli
