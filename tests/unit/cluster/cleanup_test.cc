#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

namespace fs = std::filesystem;

class CleanupTest : public testing::Test {
 protected:
  CleanupTest() {
    for (const auto& path :
         {directory_.data("primary"), directory_.logs("replica"), directory_.run(),
          directory_.secrets(), directory_.archive(), directory_.program().parent_path()})
      make_directories(path);
    write_file_atomic(directory_.settings(), to_json(Settings{.wal_archive = WalArchiveMode::off}));
    write_file_atomic(directory_.data("primary") / "PG_VERSION", "15");
    fs::create_directories(root_ / "precious");
    write_file_atomic(root_ / "precious/file", "precious");
    fs::create_directory_symlink(root_ / "precious", directory_.data("primary") / "link");
    Marker{.cluster_name = "a", .owner = ::geteuid(), .socket_directory = directory_.run()}.save(
        directory_);
  }

  test::TempDir root_;
  StateDirectory directory_{root_ / "state"};
};

TEST_F(CleanupTest, RemovesTheClusterAndFollowsNoLink) {
  const auto done = cleanup(directory_);

  EXPECT_FALSE(fs::exists(directory_.root()));
  EXPECT_THAT(done.kept, testing::IsEmpty());
  EXPECT_THAT(done.removed, testing::Contains(directory_.root().string()));
  EXPECT_EQ(read_file(root_ / "precious/file"), "precious");
}

TEST_F(CleanupTest, KeepsWhatPgreviveDidNotMake) {
  write_file_atomic(directory_.root() / "notes.txt", "mine");

  const auto done = cleanup(directory_);

  EXPECT_EQ(read_file(directory_.root() / "notes.txt"), "mine");
  EXPECT_THAT(done.kept, testing::Contains(testing::HasSubstr("notes.txt")));
  EXPECT_FALSE(fs::exists(directory_.node("primary")));
  EXPECT_FALSE(fs::exists(directory_.marker()));
}

TEST_F(CleanupTest, KeepsATablespaceThatNoNodeLinksTo) {
  const auto spaces = directory_.tablespaces("primary");
  for (const auto* name : {"ours", "theirs", "empty"}) fs::create_directories(spaces / name);
  fs::create_directory(spaces / "ours/PG_15_202209061");
  fs::create_directory(spaces / "theirs/PG_15_202209061");
  write_file_atomic(spaces / "theirs/PG_15_202209061/1", "table");
  fs::create_directory(directory_.data("primary") / "pg_tblspc");
  fs::create_directory_symlink(spaces / "ours", directory_.data("primary") / "pg_tblspc/16400");

  const auto done = cleanup(directory_);

  EXPECT_EQ(read_file(spaces / "theirs/PG_15_202209061/1"), "table");
  EXPECT_THAT(done.kept, testing::ElementsAre(testing::HasSubstr("tablespaces/theirs")));
  EXPECT_FALSE(fs::exists(spaces / "ours"));
  EXPECT_FALSE(fs::exists(spaces / "empty"));
  EXPECT_FALSE(fs::exists(directory_.data("primary")));
  EXPECT_FALSE(fs::exists(directory_.node("replica")));
}

TEST_F(CleanupTest, LeavesADirectoryAloneThatIsNotOurs) {
  fs::remove(directory_.marker());

  EXPECT_THAT([&] { cleanup(directory_); },
              test::throws(ErrorKind::target_not_empty, "was not made by pgrevive"));

  EXPECT_TRUE(fs::exists(directory_.data("primary") / "PG_VERSION"));
}

}  // namespace
}  // namespace pgrevive::cluster
