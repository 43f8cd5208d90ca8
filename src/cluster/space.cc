#include "cluster/space.h"

#include <algorithm>
#include <limits>

namespace pgrevive::cluster {

std::vector<FileSystemDemand> by_file_system(
    const std::vector<Demand>& demands,
    const std::function<DiskSpace(const std::filesystem::path&)>& look) {
  std::vector<FileSystemDemand> all;
  for (const auto& demand : demands) {
    const auto space = look(demand.place);
    auto found = std::ranges::find_if(
        all, [&](const auto& known) { return known.space.device == space.device; });
    if (found == all.end()) found = all.insert(all.end(), {.place = demand.place, .space = space});
    ++found->places;
    const auto sum = found->bytes + demand.bytes;
    found->bytes = sum < demand.bytes ? std::numeric_limits<std::uint64_t>::max() : sum;
  }
  return all;
}

}  // namespace pgrevive::cluster
