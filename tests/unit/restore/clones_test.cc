#include "restore/write/clones.h"

#include <array>
#include <string_view>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "restore/restore.h"
#include "support/mounted.h"
#include "support/temp_dir.h"
#include "unit/restore/repository_builder.h"

namespace pgrevive::restore {
namespace {

namespace fs = std::filesystem;

// Whether the first extent of a file is one of another file's as well.
bool shares_blocks(const fs::path& path) {
  const auto fd = open_file(path, O_RDONLY);
  alignas(fiemap) std::array<std::byte, sizeof(fiemap) + sizeof(fiemap_extent)> memory{};
  auto* const map = reinterpret_cast<fiemap*>(memory.data());
  map->fm_length = ~std::uint64_t{0};
  map->fm_flags = FIEMAP_FLAG_SYNC;
  map->fm_extent_count = 1;
  if (::ioctl(fd.get(), FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) return false;
  return (map->fm_extents[0].fe_flags & FIEMAP_EXTENT_SHARED) != 0;
}

class ClonesOn : public testing::TestWithParam<const char*> {};

TEST_P(ClonesOn, ALargeFileIsWrittenOnceAndEveryNodeHasIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a file system";
  const test::TempDir root;
  const test::Mounted mounted(root.path(), GetParam());
  if (!mounted.usable()) {
    GTEST_SKIP() << "NOT TESTED: no loop mount, or mkfs." << GetParam() << " is missing";
  }
  test::RepositoryBuilder builder;
  for (const std::size_t size : {1u << 20, (3u << 20) + 100u, 10'000u}) {
    builder.add("pg_data/base/1/" + std::to_string(size), test::noise(size, 7));
  }
  builder.add_block_file("pg_data/base/1/blocks", test::noise(40'000, 8), false);
  Options options;
  for (const auto* name : {"primary", "replica", "third"}) {
    options.nodes.push_back({.name = name,
                             .data_directory = mounted.place() / name,
                             .tablespace_map = {},
                             .tablespace_root = {}});
  }
  Observer silent;
  restore(builder.repository(), builder.manifest, options, silent);

  for (const auto& node : options.nodes) {
    for (const auto& [name, text] : builder.contents) {
      if (name == "pg_data/global/pg_control") continue;
      const auto path = node.data_directory / name.substr(8);
      EXPECT_TRUE(read_file(path) == text) << path;
      struct stat entry {};
      ASSERT_EQ(::stat(path.c_str(), &entry), 0);
      EXPECT_EQ(entry.st_mtime, builder.file(name).timestamp) << path;
      const bool can = std::string_view(GetParam()) != "ext4";
      EXPECT_EQ(shares_blocks(path), can && text.size() >= 1u << 20) << path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClonesOn, testing::Values("xfs", "btrfs", "ext4"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace pgrevive::restore
