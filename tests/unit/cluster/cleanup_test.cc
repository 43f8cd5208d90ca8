#include "cluster/cleanup.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "cluster/leftovers.h"
#include "cluster/marker.h"
#include "cluster/preflight.h"
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

TEST_F(CleanupTest, LeavesNothingThatLooksLikeANodeWhenItIsCutOff) {
  write_file_atomic(directory_.node_record("primary"), "{}");
  const auto cut_off = [&] {
    const auto held = ChangeLock::take(directory_, kStartAnew);
    clear(directory_, held, [] { throw std::runtime_error("cut off"); });
  };
  EXPECT_THROW(cut_off(), std::runtime_error);

  for (const auto* node : {"primary", "replica"}) EXPECT_FALSE(fs::exists(directory_.node(node)));
  EXPECT_TRUE(fs::exists(directory_.root() / ".primary.gone/data/PG_VERSION"));
  EXPECT_THAT([&] { refuse_half_removed(directory_); },
              test::throws(ErrorKind::target_not_empty, "was cut off"));
  fs::remove(directory_.settings());
  EXPECT_THAT([&] { collect_status(directory_); },
              test::throws(ErrorKind::target_not_empty, "was cut off"));

  EXPECT_THAT(cleanup(directory_).removed, testing::Contains(directory_.root().string()));
  EXPECT_FALSE(fs::exists(directory_.root()));
}

TEST_F(CleanupTest, SetsANodeAsideAlsoWhereOneBeforeItIsStillThere) {
  fs::create_directories(directory_.root() / ".primary.gone/data");

  cleanup(directory_);

  EXPECT_FALSE(fs::exists(directory_.root()));
}

TEST_F(CleanupTest, LeavesAllAsItIsWhereANodeIsALink) {
  fs::rename(directory_.node("replica"), root_ / "elsewhere");
  fs::create_directory_symlink(root_ / "elsewhere", directory_.node("replica"));

  EXPECT_THAT([&] { cleanup(directory_); },
              test::throws(ErrorKind::target_not_empty, "replica is a link"));

  EXPECT_TRUE(fs::exists(root_ / "elsewhere/logs"));
  EXPECT_TRUE(fs::exists(directory_.data("primary") / "PG_VERSION"));
  EXPECT_TRUE(fs::exists(directory_.marker()));
}

TEST_F(CleanupTest, RemovesALinkInThePlaceOfDataAndTellsWhereItLed) {
  fs::rename(directory_.data("primary"), root_ / "elsewhere");
  fs::create_directory_symlink(root_ / "elsewhere", directory_.data("primary"));

  const auto done = cleanup(directory_);

  EXPECT_THAT(done.kept, testing::ElementsAre(testing::HasSubstr((root_ / "elsewhere").string())));
  EXPECT_TRUE(fs::exists(root_ / "elsewhere/PG_VERSION"));
  EXPECT_FALSE(fs::exists(directory_.root()));
}

TEST_F(CleanupTest, LeavesAllAsItIsWhereSomethingIsMountedInIt) {
  const auto place = directory_.data("primary") / "base";
  make_directories(place);
  if (::mount(root_.path().c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0)
    GTEST_SKIP() << "only root can mount";

  EXPECT_THAT([&] { cleanup(directory_); }, test::throws(ErrorKind::busy, place.string()));
  ::umount(place.c_str());

  EXPECT_TRUE(fs::exists(directory_.logs("replica")));
  EXPECT_TRUE(fs::exists(directory_.run()));
}

// Of a cluster that root has started.
class CleanupByRootTest : public CleanupTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be someone else";
    fs::permissions(root_.path(), fs::perms(0755));
    const auto owner = find_owner();
    auto mark = load_marker(directory_);
    mark.owner = owner.uid;
    mark.save(directory_);
    for (const auto& entry : fs::recursive_directory_iterator(directory_.root()))
      ASSERT_EQ(::lchown(entry.path().c_str(), owner.uid, owner.gid), 0);
    ASSERT_EQ(::lchown(directory_.root().c_str(), owner.uid, owner.gid), 0);
  }
};

TEST_F(CleanupByRootTest, RemovesTheDirectoryItself) {
  cleanup(directory_);
  EXPECT_FALSE(fs::exists(directory_.root()));
}

TEST_F(CleanupByRootTest, RemovesNothingThatTheOwnerCouldNot) {
  make_directories(directory_.adminer(), 0755);
  write_file_atomic(directory_.adminer() / "file", "of root", 0644);

  EXPECT_THAT([&] { cleanup(directory_); }, test::throws(ErrorKind::denied, "file"));

  EXPECT_EQ(read_file(directory_.adminer() / "file"), "of root");
}

TEST_F(CleanupByRootTest, GivesAllNodesTheirNamesBackWhereOneCannotBeSetAside) {
  const auto theirs = directory_.node("primary") / "theirs";
  fs::create_directories(theirs / "PG_15_202209061");
  // To move it to another directory would be to write into it.
  fs::permissions(directory_.data("primary"), fs::perms(0755));
  ASSERT_EQ(::lchown(directory_.data("primary").c_str(), 0, 0), 0);

  EXPECT_THAT([&] { cleanup(directory_); }, test::throws(ErrorKind::denied, "cannot rename"));

  EXPECT_THAT(set_aside(directory_), testing::IsEmpty());
  EXPECT_TRUE(fs::exists(directory_.data("primary") / "PG_VERSION"));
  EXPECT_TRUE(fs::exists(directory_.logs("replica")));
}

TEST_F(CleanupTest, RemovesTheProgramsOfARestoreThatWasKilledAndNothingElseOfSuchAName) {
  const auto make = [&](const std::string& name, const std::string& file) {
    make_directories(root_ / name);
    write_file_atomic(root_ / name / file, "x");
    return root_ / name;
  };
  const auto left = make("state.programs-aB3xYz", "pgrevive");
  write_file_atomic(left / "pgrevive-archive-get", "x");
  const auto cut_off = make("state.programs-000000", ".pgrevive.tmp.Aa1234");
  const auto cluster = make("state.programs-abcdef", "pgrevive.json");
  const auto others = make("other.programs-abcdef", "pgrevive");
  const auto longer = make("state.programs-abcdefg", "pgrevive");
  fs::create_directory_symlink(left, root_ / "state.programs-link00");

  const auto done = cleanup(directory_);

  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(cut_off));
  EXPECT_THAT(done.removed, testing::Contains(testing::HasSubstr(left.string())));
  for (const auto& path : {cluster, others, longer}) EXPECT_FALSE(fs::is_empty(path)) << path;
  EXPECT_TRUE(fs::is_symlink(root_ / "state.programs-link00"));
}

TEST_F(CleanupTest, LeavesProgramsOfSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  const auto left = root_ / "state.programs-aB3xYz";
  make_directories(left);
  ASSERT_EQ(::chown(left.c_str(), 65534, 65534), 0);

  cleanup(directory_);

  EXPECT_TRUE(fs::exists(left));
}

TEST_F(CleanupTest, LeavesADirectoryAloneThatIsNotOurs) {
  fs::remove(directory_.marker());

  EXPECT_THAT([&] { cleanup(directory_); },
              test::throws(ErrorKind::target_not_empty, "was not made by pgrevive"));

  EXPECT_TRUE(fs::exists(directory_.data("primary") / "PG_VERSION"));
}

}  // namespace
}  // namespace pgrevive::cluster
