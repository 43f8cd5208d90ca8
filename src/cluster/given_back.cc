#include "cluster/given_back.h"

#include <array>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"

namespace pgrevive::cluster {
namespace {

constexpr decltype(fiemap::fm_extent_count) kExtents = 256;
constexpr long kXfs = 0x58465342;

// Whether files can share blocks there, so that each has to be looked at.
bool has_clones(const std::filesystem::path& directory) {
  struct statfs info {};
  return ::statfs(directory.c_str(), &info) == 0 &&
         (info.f_type == kXfs || info.f_type == BTRFS_SUPER_MAGIC);
}

class Count {
 public:
  void add(const std::filesystem::path& directory) {
    namespace fs = std::filesystem;
    const bool clones = has_clones(directory);
    std::error_code failure;
    for (fs::recursive_directory_iterator
             entry(directory, fs::directory_options::skip_permission_denied, failure),
         end;
         !failure && entry != end; entry.increment(failure)) {
      struct stat info {};
      if (::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
          info.st_nlink != 1)
        continue;
      if (!clones || !add_extents(entry->path(), info.st_dev))
        bytes_ += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  // Whether the system tells of them.
  bool add_extents(const std::filesystem::path& file, dev_t device) {
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return false;
    alignas(fiemap) std::array<std::byte, sizeof(fiemap) + kExtents * sizeof(fiemap_extent)>
        memory{};
    auto* const map = reinterpret_cast<fiemap*>(memory.data());
    for (std::uint64_t from = 0;;) {
      map->fm_start = from;
      map->fm_length = ~std::uint64_t{0} - from;
      map->fm_flags = 0;
      map->fm_extent_count = kExtents;
      if (::ioctl(fd.get(), FS_IOC_FIEMAP, map) != 0) return from != 0;
      for (std::uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
        const auto& extent = map->fm_extents[i];
        add_extent(extent, device);
        if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return true;
        from = extent.fe_logical + extent.fe_length;
      }
      if (map->fm_mapped_extents == 0) return true;
    }
  }

  void add_extent(const fiemap_extent& extent, dev_t device) {
    const bool shared = (extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0;
    const std::pair place{device, extent.fe_physical};
    // Whoever shares it with the first one met is among those that go.
    if (!shared || (!once_.insert(place).second && twice_.insert(place).second))
      bytes_ += extent.fe_length;
  }

  std::uint64_t bytes_ = 0;
  std::set<std::pair<dev_t, std::uint64_t>> once_, twice_;
};

}  // namespace

std::uint64_t bytes_given_back(const std::vector<std::filesystem::path>& directories) {
  Count count;
  for (const auto& directory : directories) count.add(directory);
  return count.bytes();
}

}  // namespace pgrevive::cluster
