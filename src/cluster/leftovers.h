#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// Whether an entry of a state directory's root, or of run/ in it, is what write_file_atomic()
// leaves of one of our files when it is killed, or when the file system has become read-only. Pure.
bool is_unfinished(const std::filesystem::path& entry, const StateDirectory& directory);

// Whether the root holds more than is made before the marker: a start's lock, run/ with what waits
// or is asked for there, and what is unfinished. A node's container that starts first makes its
// lock in run/. True also where nobody can tell, false where there is no such directory.
bool holds_files(const StateDirectory& directory);

// Where a node's directory goes before the first byte of it is removed: a removal that is cut off
// leaves nothing that looks like a node. A name that is not taken.
std::filesystem::path set_aside_name(const StateDirectory& directory, const std::string& node);
// Those that a removal has left, or is at.
std::vector<std::filesystem::path> set_aside(const StateDirectory& directory);

// Throws Error{target_not_empty} where there is one: it is not for a start to decide that what
// somebody threw away is made anew, and of what.
void refuse_half_removed(const StateDirectory& directory);

}  // namespace pgrevive::cluster
