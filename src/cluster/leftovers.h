#pragma once

#include <filesystem>

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// Whether an entry of a state directory's root is what write_file_atomic() leaves of one of our
// files when it is killed, or when the file system has become read-only. Pure.
bool is_unfinished(const std::filesystem::path& entry, const StateDirectory& directory);

// Whether the root holds more than a start makes before the marker: the lock in run/, and what is
// unfinished. True also where nobody can tell, false where there is no such directory.
bool holds_files(const StateDirectory& directory);

}  // namespace pgrevive::cluster
