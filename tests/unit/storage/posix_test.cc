#include "storage/posix.h"

#include <fstream>

#include <gmock/gmock.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::storage {
namespace {

namespace fs = std::filesystem;
using test::throws;

// What the contract in storage_test.cc does not cover: files are not objects.
class Posix : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::vector<std::string> names(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : storage_->list(directory)) names.push_back(entry.name);
    return names;
  }

  test::TempDir outside_;
  test::TempDir base_;
  fs::path root_ = base_ / "repo";
  std::unique_ptr<Storage> storage_ = open_posix(root_);
};

TEST_F(Posix, ARootIsAbsolute) {
  EXPECT_THAT([] { open_posix("relative/path"); }, throws(ErrorKind::usage, "relative/path"));
  EXPECT_THAT([] { open_posix(""); }, throws(ErrorKind::usage));
}

TEST_F(Posix, ARootThatDoesNotExistIsEmpty) {
  EXPECT_TRUE(storage_->list("").empty());
  EXPECT_EQ(storage_->stat("a"), std::nullopt);
}

TEST_F(Posix, ATrailingSlashOfTheRootMakesNoDifference) {
  write("a", "1");

  const auto storage = open_posix(root_.string() + "/");

  EXPECT_EQ(storage->describe("a"), (root_ / "a").string());
  EXPECT_EQ(as_text(read_all(*storage, "a")), "1");
}

TEST_F(Posix, FollowsALinkThatStaysInside) {
  write("backup/main/20240115-020000F/backup.manifest", "m");
  fs::create_symlink("20240115-020000F", root_ / "backup/main/latest");
  fs::create_symlink(root_ / "backup/main", root_ / "absolute");

  EXPECT_EQ(as_text(read_all(*storage_, "backup/main/latest/backup.manifest")), "m");
  EXPECT_EQ(as_text(read_all(*storage_, "absolute/latest/backup.manifest")), "m");
  EXPECT_THAT(names("backup/main"), testing::ElementsAre("20240115-020000F", "latest"));
  EXPECT_TRUE(storage_->list("backup/main").at(1).directory);
  EXPECT_NEAR(static_cast<double>(storage_->list("backup/main/20240115-020000F").at(0).modified),
              static_cast<double>(std::time(nullptr)), 60);
}

TEST_F(Posix, ALinkToTheRootItselfIsFine) {
  write("a", "1");
  fs::create_symlink(root_, base_ / "link");

  const auto storage = open_posix(base_ / "link");

  EXPECT_EQ(as_text(read_all(*storage, "a")), "1");
  EXPECT_EQ(storage->list("").size(), 1U);
}

TEST_F(Posix, RefusesALinkThatLeadsOut) {
  write("a", "1");
  std::ofstream(outside_ / "secret") << "s";
  fs::create_symlink(outside_ / "secret", root_ / "file");
  fs::create_directory(root_ / "sub");
  fs::create_symlink(outside_.path(), root_ / "sub/dir");

  EXPECT_THAT([&] { read_all(*storage_, "file"); }, throws(ErrorKind::denied, "leads out"));
  EXPECT_THAT([&] { storage_->stat("file"); }, throws(ErrorKind::denied, "leads out"));
  EXPECT_THAT([&] { read_all(*storage_, "sub/dir/secret"); }, throws(ErrorKind::denied));
  EXPECT_THAT([&] { storage_->list("sub/dir"); }, throws(ErrorKind::denied));
  EXPECT_THAT([&] { storage_->list("sub"); }, throws(ErrorKind::denied, "sub/dir"));
}

TEST_F(Posix, ANeighbourWhoseNameBeginsAlikeIsOutside) {
  write("a", "1");
  fs::create_directory(base_ / "repo2");
  std::ofstream(base_ / "repo2/secret") << "s";
  fs::create_symlink("../repo2/secret", root_ / "file");

  EXPECT_THAT([&] { read_all(*storage_, "file"); }, throws(ErrorKind::denied));
}

TEST_F(Posix, ALinkThatLeadsNowhereIsNothing) {
  write("a", "1");
  fs::create_symlink("gone", root_ / "link");

  EXPECT_THAT(names(""), testing::ElementsAre("a"));
  EXPECT_EQ(storage_->stat("link"), std::nullopt);
  EXPECT_THAT([&] { read_all(*storage_, "link"); }, throws(ErrorKind::not_found));
}

TEST_F(Posix, RefusesAPathThatLeadsOut) {
  write("a", "1");

  for (const char* path : {"../outside", "x/../../outside", "/etc/passwd", ".."}) {
    EXPECT_THAT([&] { read_all(*storage_, path); }, throws(ErrorKind::denied, "leads out")) << path;
    EXPECT_THAT([&] { storage_->list(path); }, throws(ErrorKind::denied)) << path;
  }
}

TEST_F(Posix, ANamedPipeIsNoObjectAndBlocksNobody) {
  write("a", "1");
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);

  EXPECT_THAT(names(""), testing::ElementsAre("a"));
  EXPECT_EQ(storage_->stat("pipe"), std::nullopt);
  EXPECT_THAT([&] { read_all(*storage_, "pipe"); }, throws(ErrorKind::not_found, "not a file"));
}

TEST_F(Posix, ADirectoryIsNoObject) {
  write("d/a", "1");

  EXPECT_THAT([&] { read_all(*storage_, "d"); }, throws(ErrorKind::not_found, "not a file"));
}

TEST_F(Posix, AFileThatShrinksIsNoticed) {
  write("a", std::string(1 << 20, 'x'));
  class Shrinker : public Sink {
   public:
    explicit Shrinker(fs::path path) : path_(std::move(path)) {}
    void write(ByteView) override { fs::resize_file(path_, 10); }
    void finish() override {}

   private:
    fs::path path_;
  } shrinker(root_ / "a");

  EXPECT_THAT([&] { storage_->read("a", {}, shrinker); },
              throws(ErrorKind::corrupt, "became shorter"));
}

TEST_F(Posix, MissingPermissionIsDenied) {
  write("d/a", "1");
  write("e/a", "1");
  fs::permissions(root_ / "d/a", fs::perms::none);
  fs::permissions(root_ / "e", fs::perms::none);
  // Root may read everything, so this thread looks at files as nobody for a while.
  fs::permissions(base_.path(), fs::perms(0755));
  struct AsNobody {
    AsNobody() { ::setfsuid(65534); }
    ~AsNobody() { ::setfsuid(::geteuid()); }
  };
  {
    const AsNobody as_nobody;
    EXPECT_THAT([&] { read_all(*storage_, "d/a"); },
                throws(ErrorKind::denied, (root_ / "d/a").string()));
    EXPECT_EQ(storage_->stat("d/a"), 1U) << "which needs no permission on the file";
    EXPECT_THAT([&] { storage_->list("e"); }, throws(ErrorKind::denied, (root_ / "e").string()));
    EXPECT_THAT([&] { storage_->stat("e/a"); }, throws(ErrorKind::denied));
  }
  fs::permissions(root_ / "e", fs::perms::owner_all);
}

}  // namespace
}  // namespace pgrevive::storage
