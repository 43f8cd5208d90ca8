#pragma once

#include <chrono>
#include <string>

#include "restore/recovery.h"

namespace pgrevive::cli {

// Turns the text of a recovery target of that type into what PostgreSQL takes: a time into a plain
// one with its zone written out (cli/natural_time.h), the others stay as they are. Returns what is
// wrong with it, as a remedy ("write it such as ..."); empty if nothing is.
std::string read_target_text(restore::RecoveryType type, std::string& target,
                             std::chrono::system_clock::time_point now);

}  // namespace pgrevive::cli
