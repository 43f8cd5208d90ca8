#pragma once

#include <nlohmann/json.hpp>

#include "cluster/progress.h"

// The parts of the status that are also kept elsewhere. All throw what nlohmann throws.
namespace pgrevive::cluster {

nlohmann::json to_value(const RecoveryEnd& end);
RecoveryEnd recovery_end_from(const nlohmann::json& j);

nlohmann::json to_value(const std::vector<PhaseTime>& phases);
std::vector<PhaseTime> phases_from(const nlohmann::json& j);

nlohmann::json to_value(const restore::Progress& progress);
restore::Progress progress_from(const nlohmann::json& j);

nlohmann::json to_value(const std::vector<Notice>& notices);
// An older version wrote the texts alone.
std::vector<Notice> notices_from(const nlohmann::json& j);

}  // namespace pgrevive::cluster
