#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/file.h"

namespace pgrevive::cluster {

// What is to be written below a place.
struct Demand {
  std::filesystem::path place;
  std::uint64_t bytes = 0;
};

// All that is to be written on one file system, and what is free there.
struct FileSystemDemand {
  std::filesystem::path place;  // the first of those that lie on it
  std::uint64_t places = 0;
  std::uint64_t bytes = 0;
  DiskSpace space;

  bool fits() const { return bytes <= space.free_bytes; }
};

// In the order in which the file systems come first. A sum that is more than a number holds is the
// largest one. Pure but for `look`.
std::vector<FileSystemDemand> by_file_system(
    const std::vector<Demand>& demands,
    const std::function<DiskSpace(const std::filesystem::path&)>& look = disk_space);

}  // namespace pgrevive::cluster
