#include "cluster/node_size.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

repository::Manifest manifest() {
  repository::Manifest made;
  const auto file = [&](std::string_view name, std::uint64_t size) {
    made.files.push_back({.name = name, .size = size});
  };
  file("pg_data/base/5/16390", 1000);
  file("pg_data/global/1260", 10);
  file("pg_tblspc/16385/PG_15_202209061/16384/16391", 200);
  file("pg_tblspc/16385/PG_15_202209061/5/16392", 30);
  file("pg_tblspc/17000/PG_15_202209061/5/16393", 4);
  return made;
}

TEST(NodeSize, KnowsItsTablespaces) {
  const auto size = NodeSize::of(manifest(), {});
  EXPECT_EQ(size.bytes, 1244u);
  EXPECT_EQ(size.tablespaces, (std::map<std::uint32_t, std::uint64_t>{{16385, 230}, {17000, 4}}));

  EXPECT_EQ(NodeSize::of(manifest(), {16384}).tablespaces.at(16385), 30u);
  EXPECT_EQ(NodeSize::of(manifest(), {16384}).bytes, 1044u);
}

TEST(NodeSize, IsAskedOfEachFileSystemForWhatItGets) {
  const test::TempDir root;
  const StateDirectory directory(root.path());
  const auto size = NodeSize::of(manifest(), {});

  const auto together = size.demands(directory, "primary");
  ASSERT_EQ(together.size(), 1u);
  EXPECT_EQ(together[0].bytes, 1244u);

  // One tablespace lies elsewhere: the host's memory is another file system.
  make_directories(directory.tablespaces("primary"));
  std::filesystem::create_directory_symlink("/dev/shm", directory.tablespaces("primary") / "16385");
  if (disk_space("/dev/shm").device == disk_space(root.path()).device)
    GTEST_SKIP() << "NOT TESTED: there is but one file system";
  const auto apart = size.demands(directory, "primary");
  ASSERT_EQ(apart.size(), 2u);
  EXPECT_EQ(apart[0].bytes, 1014u);
  EXPECT_EQ(apart[1].bytes, 230u);
}

}  // namespace
}  // namespace pgrevive::cluster
