#include "cluster/space.h"

#include <algorithm>
#include <limits>
#include <system_error>

#include <sys/stat.h>

namespace pgrevive::cluster {

std::vector<FileSystemDemand> by_file_system(
    const std::vector<Demand>& demands,
    const std::function<DiskSpace(const std::filesystem::path&)>& look) {
  std::vector<FileSystemDemand> all;
  for (const auto& demand : demands) {
    const auto space = look(demand.place);
    auto found = std::ranges::find_if(
        all, [&](const auto& known) { return known.space.device == space.device; });
    if (found == all.end())
      found = all.insert(all.end(), {.place = demand.place, .space = space});
    ++found->places;
    const auto sum = found->bytes + demand.bytes;
    found->bytes = sum < demand.bytes ? std::numeric_limits<std::uint64_t>::max() : sum;
  }
  return all;
}

std::uint64_t bytes_taken(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  std::uint64_t bytes = 0;
  std::error_code failure;
  for (fs::recursive_directory_iterator
           entry(directory, fs::directory_options::skip_permission_denied, failure),
       end;
       !failure && entry != end; entry.increment(failure)) {
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1)
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace pgrevive::cluster
