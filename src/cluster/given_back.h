#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace pgrevive::cluster {

// What the file systems get back when the regular files below these directories go: not those that
// another name keeps, and of blocks that files share (clones, on xfs and btrfs) only what they
// share among themselves, once. A replica that was restored beside its primary gives little back
// while that one stays.
std::uint64_t bytes_given_back(const std::vector<std::filesystem::path>& directories);

}  // namespace pgrevive::cluster
