#include "cluster/restore_history.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "cluster/progress_json.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;

constexpr std::size_t kKept = 20;

PastRestore restore_from(const json& j) {
  PastRestore restore;
  restore.outcome = j.at("outcome").get<std::string>();
  restore.error = j.at("error").get<std::string>();
  restore.exit_code = j.value("exit_code", 0);
  restore.backup_label = j.at("backup_label").get<std::string>();
  restore.phases = phases_from(j.at("phases"));
  restore.progress = progress_from(j.at("progress"));
  restore.retries = j.at("retries").get<std::int64_t>();
  restore.throttled = j.value("throttled", std::int64_t{0});
  return restore;
}

}  // namespace

json to_value(const PastRestore& restore) {
  return {{"outcome", restore.outcome},         {"error", restore.error},
          {"exit_code", restore.exit_code},     {"backup_label", restore.backup_label},
          {"began_ms", restore.began_ms()},     {"ended_ms", restore.ended_ms()},
          {"phases", to_value(restore.phases)}, {"progress", to_value(restore.progress)},
          {"retries", restore.retries},         {"throttled", restore.throttled}};
}

std::optional<PastRestore> past_restore(const SupervisorStatus& status, const std::string& outcome,
                                        const std::string& error, std::int64_t now_ms) {
  PastRestore restore{.outcome = outcome,
                      .error = error,
                      .backup_label = status.backup_label,
                      .progress = status.restore,
                      .retries = status.restore_retries,
                      .throttled = status.restore_throttled};
  restore.progress.workers.clear();  // what they were at is no news any more
  const auto since =
      status.request && status.request->state == "working" ? status.request->began_ms : 0;
  for (auto phase : status.phases) {
    if (phase.began_ms < since) continue;
    if (phase.phase == Phase::running || phase.phase == Phase::failed ||
        phase.phase == Phase::stopping || phase.phase == Phase::stopped)
      break;
    if (phase.ended_ms == 0) phase.ended_ms = now_ms;
    restore.phases.push_back(phase);
  }
  if (std::ranges::find(restore.phases, Phase::restoring, &PhaseTime::phase) ==
      restore.phases.end())
    return {};
  return restore;
}

namespace {

void save(const StateDirectory& directory, std::vector<PastRestore> restores) {
  if (restores.size() > kKept) restores.resize(kKept);
  json list = json::array();
  for (const auto& entry : restores) list.push_back(to_value(entry));
  write_file_atomic(directory.restores(),
                    list.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace

void note_restore(const StateDirectory& directory, const PastRestore& restore) {
  auto restores = load_restores(directory);
  std::erase_if(restores,
                [&](const PastRestore& other) { return other.began_ms() == restore.began_ms(); });
  restores.insert(restores.begin(), restore);
  save(directory, std::move(restores));
}

std::vector<PastRestore> load_restores(const StateDirectory& directory) {
  std::vector<PastRestore> restores;
  try {
    const auto text = read_file_if_exists(directory.restores());
    if (!text) return {};
    for (const auto& entry : json::parse(*text)) restores.push_back(restore_from(entry));
  } catch (const json::exception&) {
    // Another version's, or damaged: how things went once is not worth a failure.
  } catch (const Error&) {
  }
  return restores;
}

}  // namespace pgrevive::cluster
