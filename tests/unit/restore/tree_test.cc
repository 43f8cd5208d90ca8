#include "restore/tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::restore {
namespace {

namespace fs = std::filesystem;

class TreeTest : public testing::Test {
 protected:
  TreeTest() {
    fs::create_directories(directory_ / "root" / "base" / "1");
    fs::create_directories(directory_ / "outside");
    write_file_atomic(directory_ / "outside" / "secret", "untouched");
    fs::create_directory_symlink(directory_ / "outside", directory_ / "root" / "planted");
    fs::create_symlink(directory_ / "outside" / "secret", directory_ / "root" / "base" / "link");
  }

  test::TempDir directory_;
};

TEST_F(TreeTest, OpensWhatLiesBelowByBothWays) {
  const Tree tree(directory_ / "root");
  write_file_atomic(directory_ / "root" / "base" / "1" / "112", "text");

  for (const auto& fd : {tree.open("base/1/112", O_RDONLY).get(),
                         tree.open_stepwise("base/1/112", O_RDONLY).get()}) {
    EXPECT_GE(fd, 0);
  }
}

TEST_F(TreeTest, NeverGoesThroughALink) {
  const Tree tree(directory_ / "root");

  for (const auto* path : {"planted/secret", "planted/new", "base/link"}) {
    EXPECT_THAT([&] { tree.open(path, O_RDWR | O_CREAT, 0600); },
                test::throws(ErrorKind::system, "not a directory"))
        << path;
    EXPECT_THAT([&] { tree.open_stepwise(path, O_RDWR | O_CREAT, 0600); },
                test::throws(ErrorKind::system, "not a directory"))
        << path;
  }
  EXPECT_THAT([&] { tree.unlink("planted/secret"); }, test::throws(ErrorKind::system));
  EXPECT_THAT([&] { tree.rename("base/link", "planted/x"); }, test::throws(ErrorKind::system));
  EXPECT_THAT([&] { tree.make_directory("planted/x", 0700); }, test::throws(ErrorKind::system));
  EXPECT_EQ(read_file(directory_ / "outside" / "secret"), "untouched");
  EXPECT_FALSE(fs::exists(directory_ / "outside" / "new"));
}

TEST_F(TreeTest, NeverLeavesTheDirectory) {
  const Tree tree(directory_ / "root");

  for (const auto* path :
       {"../outside/secret", "/etc/passwd", "base/../../outside/secret", "", "."}) {
    EXPECT_THAT([&] { tree.open(path, O_RDONLY); }, test::throws(ErrorKind::corrupt)) << path;
    EXPECT_THAT([&] { tree.open_stepwise(path, O_RDONLY); }, test::throws(ErrorKind::corrupt))
        << path;
  }
}

TEST_F(TreeTest, ANewFileTakesThePlaceOfALinkAndNotOfWhatItPointsTo) {
  const Tree tree(directory_ / "root");

  const auto fd = tree.create("base/link");

  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_EQ(read_file(directory_ / "outside" / "secret"), "untouched");
  EXPECT_EQ(read_file(directory_ / "root" / "base" / "link"), "x");
}

TEST_F(TreeTest, ANewFileDoesNotShareAnOldOnesOtherNames) {
  fs::create_hard_link(directory_ / "outside" / "secret", directory_ / "root" / "hard");
  const Tree tree(directory_ / "root");

  const auto fd = tree.create("hard");

  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_EQ(read_file(directory_ / "outside" / "secret"), "untouched");
}

TEST_F(TreeTest, ANewFileTakesThePlaceOfAPipeWithoutWaitingForItsReader) {
  ASSERT_EQ(::mkfifo((directory_ / "root" / "pipe").c_str(), 0600), 0);

  EXPECT_TRUE(Tree(directory_ / "root").create("pipe"));
}

TEST_F(TreeTest, ADirectoryInAFilesPlaceIsNamed) {
  EXPECT_THAT([&] { Tree(directory_ / "root").create("base"); },
              test::throws(ErrorKind::system, "a directory is in its place"));
}

TEST_F(TreeTest, RemovesATreeButNotWhatItsLinksPointTo) {
  fs::create_directory_symlink(directory_ / "outside", directory_ / "root" / "base" / "1" / "l");
  const Tree tree(directory_ / "root");

  tree.remove("base");
  tree.remove("planted");
  tree.remove("absent");

  EXPECT_TRUE(fs::is_empty(directory_ / "root"));
  EXPECT_EQ(read_file(directory_ / "outside" / "secret"), "untouched");
}

TEST_F(TreeTest, ListsNamesInOrder) {
  const Tree tree(directory_ / "root");
  EXPECT_EQ(tree.list(""), (std::vector<std::string>{"base", "planted"}));
  EXPECT_EQ(tree.list("absent"), std::vector<std::string>{});
  EXPECT_THAT([&] { tree.list("planted"); }, test::throws(ErrorKind::system));
}

TEST_F(TreeTest, TheDirectoryItselfMayBeReachedThroughALink) {
  fs::create_directory_symlink(directory_ / "root", directory_ / "alias");
  EXPECT_EQ(Tree(directory_ / "alias").list("base"), (std::vector<std::string>{"1", "link"}));
}

}  // namespace
}  // namespace pgrevive::restore
