#pragma once

#include <string>

#include "restore/recovery.h"

namespace pgrevive::cli {

// What is wrong with the text of a recovery target of that type, as a remedy ("write it such as
// ..."); empty if nothing is.
std::string target_problem(restore::RecoveryType type, const std::string& target);

}  // namespace pgrevive::cli
