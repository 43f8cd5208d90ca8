#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cluster/progress.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// How one restore of this cluster went, from the first phase to the running cluster.
struct PastRestore {
  // "done", "failed", "stopped"; "interrupted": its supervisor was killed, and what is told is as
  // it was shortly before.
  std::string outcome;
  std::string error;  // of one that failed
  int exit_code = 0;  // its kind; 0: none failed, or a version noted it that told no kind
  std::string backup_label;
  std::vector<PhaseTime> phases;  // all are over
  restore::Progress progress;
  std::int64_t retries = 0;
  std::int64_t throttled = 0;

  std::int64_t began_ms() const { return phases.empty() ? 0 : phases.front().began_ms; }
  std::int64_t ended_ms() const { return phases.empty() ? 0 : phases.back().ended_ms; }
};

// What a supervisor's status says about the restore it did; empty if it did none. `now_ms` ends the
// phase that is under way. While a request is worked at, what that restores is a restore of its
// own. Pure.
std::optional<PastRestore> past_restore(const SupervisorStatus& status, const std::string& outcome,
                                        const std::string& error, std::int64_t now_ms);

// Notes it in logs/restores.json, which keeps the last twenty. One that went on after it failed
// takes the place of what it was.
void note_restore(const StateDirectory& directory, const PastRestore& restore);

nlohmann::json to_value(const PastRestore& restore);

// The newest first; empty where nothing can be read.
std::vector<PastRestore> load_restores(const StateDirectory& directory);

}  // namespace pgrevive::cluster
