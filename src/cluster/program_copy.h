#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// Makes `to`, with the directory it lies in, a program of these bytes; it is not written where it
// is that already. For the cluster's owner.
void copy_program(const std::string& bytes, const std::filesystem::path& to);

// Where programs of a cluster lie beside it while they throw it away: a name for mkdtemp(3).
std::string beside_cluster(const StateDirectory& directory);
// Directories of such names that belong to `owner` and hold nothing but these programs, sorted: who
// should have removed them was killed, or they are in use.
std::vector<std::filesystem::path> programs_beside(const StateDirectory& directory, uid_t owner);

}  // namespace pgrevive::cluster
