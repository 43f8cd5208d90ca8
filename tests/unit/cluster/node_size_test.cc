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
  made.targets.push_back({.name = "pg_data", .path = "/source"});
  made.targets.push_back(
      {.name = "pg_tblspc/16385", .tablespace_oid = 16385, .tablespace_name = "fast"});
  return made;
}

TEST(NodeSize, KnowsItsTablespaces) {
  const auto size = NodeSize::of(manifest(), {});
  EXPECT_EQ(size.bytes, 1244u);
  ASSERT_EQ(size.tablespaces.size(), 2u);
  EXPECT_EQ(size.tablespaces.at(16385).bytes, 230u);
  EXPECT_EQ(size.tablespaces.at(16385).name, "fast");
  EXPECT_EQ(size.tablespaces.at(17000).bytes, 4u);

  EXPECT_EQ(NodeSize::of(manifest(), {16384}).tablespaces.at(16385).bytes, 30u);
  EXPECT_EQ(NodeSize::of(manifest(), {16384}).bytes, 1044u);
}

TEST(NodeSize, IsAskedOfEachFileSystemForWhatItGets) {
  const test::TempDir root;
  const StateDirectory directory(root.path());
  const auto size = NodeSize::of(manifest(), {});

  const auto together = size.demands(Settings{}, directory, "primary");
  ASSERT_EQ(together.size(), 1u);
  EXPECT_EQ(together[0].bytes, 1244u);

  // One tablespace lies elsewhere: the host's memory is another file system.
  make_directories(directory.tablespaces("primary"));
  std::filesystem::create_directory_symlink("/dev/shm", directory.tablespaces("primary") / "fast");
  if (disk_space("/dev/shm").device == disk_space(root.path()).device)
    GTEST_SKIP() << "NOT TESTED: there is but one file system";
  auto apart = size.demands(Settings{}, directory, "primary");
  ASSERT_EQ(apart.size(), 2u);
  EXPECT_EQ(apart[0].bytes, 1014u);
  EXPECT_EQ(apart[1].bytes, 230u);

  Settings settings;
  settings.tablespaces.entries.push_back(
      {.node = "", .tablespace = "17000", .directory = "/dev/shm"});
  apart = size.demands(settings, directory, "primary");
  ASSERT_EQ(apart.size(), 2u);
  EXPECT_EQ(apart[1].bytes, 234u);
}

}  // namespace
}  // namespace pgrevive::cluster
