#pragma once

#include <nlohmann/json.hpp>

#include "cluster/progress.h"

// The part of the status that is also kept elsewhere. Both throw what nlohmann throws.
namespace pgrevive::cluster {

nlohmann::json to_value(const RecoveryEnd& end);
RecoveryEnd recovery_end_from(const nlohmann::json& j);

}  // namespace pgrevive::cluster
