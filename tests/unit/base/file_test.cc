#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive {
namespace {

namespace fs = std::filesystem;
using test::TempDir;
using test::throws;

mode_t mode_of(const fs::path& path) {
  struct stat about {};
  EXPECT_EQ(::lstat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777;
}

void write(const fs::path& path, std::string_view text) {
  const Fd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  write_all(fd.get(), as_bytes(text), path);
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

TEST(Fd, ClosesWhatItOwnsOnce) {
  TempDir directory;
  Fd first = open_file(directory / "x", O_WRONLY | O_CREAT);
  const int number = first.get();

  Fd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that it is empty is the point
  EXPECT_EQ(second.get(), number);
  EXPECT_GE(::fcntl(number, F_GETFD), 0);
  second.reset();

  EXPECT_LT(::fcntl(number, F_GETFD), 0);
  EXPECT_FALSE(second);
}

TEST(OpenFile, ClosesItOnExecAndNamesWhatIsMissing) {
  TempDir directory;

  EXPECT_EQ(::fcntl(open_file("/dev/null", O_RDONLY).get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_THAT([&] { open_file(directory / "missing", O_RDONLY); },
              throws(ErrorKind::not_found, (directory / "missing").string()));
}

TEST(ReadFile, GivesAllBytesOfFilesOfEverySize) {
  TempDir directory;
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 1'000'000u}) {
    const std::string text(size, 'x');
    write(directory / "file", text);
    EXPECT_TRUE(read_file(directory / "file") == text) << size;
  }
  // Files of /proc say that they are empty.
  EXPECT_THAT(read_file("/proc/self/status"), testing::HasSubstr("Name:"));
}

TEST(ReadFileIfExists, IsEmptyOnlyForAMissingFile) {
  TempDir directory;
  write(directory / "file", "text");

  EXPECT_EQ(read_file_if_exists(directory / "file"), "text");
  EXPECT_EQ(read_file_if_exists(directory / "missing"), std::nullopt);
  EXPECT_THAT([&] { read_file_if_exists(directory.path()); }, throws(ErrorKind::system));
}

TEST(WriteAll, ReportsAFullDiskWithAHint) {
  const Fd full = open_file("/dev/full", O_WRONLY);
  EXPECT_THAT([&] { write_all(full.get(), as_bytes("x"), "/dev/full"); },
              throws(ErrorKind::system, "hint: free space"));
}

TEST(WriteFileAtomic, ReplacesTheFileAndLeavesNothingElse) {
  TempDir directory;
  write_file_atomic(directory / "file", "old");
  EXPECT_EQ(mode_of(directory / "file"), 0600u);

  const Umask strict(077);
  write_file_atomic(directory / "file", "new", 0644);

  EXPECT_EQ(read_file(directory / "file"), "new");
  EXPECT_EQ(mode_of(directory / "file"), 0644u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(WriteFileAtomic, LeavesTheOldFileAndNoLitterWhenItFails) {
  TempDir directory;
  fs::create_directory(directory / "taken");
  write(directory / "taken/file", "x");

  // A directory cannot be replaced by a file.
  EXPECT_THAT([&] { write_file_atomic(directory / "taken", "new"); },
              throws(ErrorKind::system, "cannot replace"));
  EXPECT_THAT([&] { write_file_atomic(directory / "missing/file", "new"); },
              throws(ErrorKind::not_found));

  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(ReplaceFile, LeavesTheOldFileUntilAllOfTheNewIsThere) {
  TempDir directory;
  replace_file(directory / "file", "old", 0644);
  replace_file(directory / "file", "new", 0644);
  EXPECT_EQ(read_file(directory / "file"), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);

  // One that a writer who was killed has left behind.
  write(directory / "file.new", "a piece of something longer");
  replace_file(directory / "file", "newer");
  EXPECT_EQ(read_file(directory / "file"), "newer");

  fs::create_directory(directory / "taken");
  write(directory / "taken/file", "x");
  EXPECT_THAT([&] { replace_file(directory / "taken", "new"); },
              throws(ErrorKind::system, "cannot replace"));
  EXPECT_THAT([&] { replace_file(directory / "missing/file", "new"); },
              throws(ErrorKind::not_found));
}

TEST(WriteFileAtomic, ReplacesALinkAndNotWhatItPointsTo) {
  TempDir directory;
  write(directory / "victim", "keep");
  fs::create_symlink("victim", directory / "link");

  write_file_atomic(directory / "link", "new");

  EXPECT_EQ(read_file(directory / "victim"), "keep");
  EXPECT_FALSE(fs::is_symlink(directory / "link"));
}

TEST(MakeDirectories, GivesTheLastOneItsExactModeWhateverTheUmask) {
  TempDir directory;
  for (const mode_t mask : {0u, 022u, 077u}) {
    const Umask with(mask);
    const fs::path path = directory / std::to_string(mask) / "b/c";
    make_directories(path, 0750);
    EXPECT_EQ(mode_of(path), 0750u);
    EXPECT_EQ(mode_of(path.parent_path()), 0755u);
  }
}

TEST(MakeDirectories, LeavesAnExistingOneAsItIs) {
  TempDir directory;
  make_directories(directory / "a", 0711);

  make_directories(directory / "a", 0700);
  make_directories(directory / "a/", 0700);
  make_directories(directory / "a/b/", 0700);

  EXPECT_EQ(mode_of(directory / "a"), 0711u);
  EXPECT_TRUE(fs::is_directory(directory / "a/b"));
}

TEST(MakeDirectories, NamesAFileInItsWay) {
  TempDir directory;
  write(directory / "file", "");

  EXPECT_THAT([&] { make_directories(directory / "file"); },
              throws(ErrorKind::system, "is not a directory"));
  EXPECT_THAT([&] { make_directories(directory / "file/below"); },
              throws(ErrorKind::not_found, "Not a directory"));
}

TEST(EntriesOf, AreAllThatLieInADirectory) {
  TempDir directory;
  write(directory / "b", "");
  make_directories(directory / "a/below");
  fs::create_symlink("/nowhere", directory / "c");

  const std::vector<fs::path> all{directory / "a", directory / "b", directory / "c"};
  EXPECT_EQ(entries_of(directory.path()), all);
  EXPECT_EQ(entries_if_exists(directory.path()), all);
}

// A loop of links cannot be looked into by anybody, root included.
TEST(EntriesOf, WhatCannotBeReadIsNotEmpty) {
  TempDir directory;
  fs::create_symlink("loop", directory / "loop");
  write(directory / "file", "");

  for (const char* name : {"loop", "loop/below"})
    EXPECT_THAT([&] { entries_if_exists(directory / name); },
                throws(ErrorKind::system, "cannot look into " + (directory / name).string()));
  for (const char* name : {"absent", "absent/below", "file", "file/below"}) {
    EXPECT_TRUE(entries_if_exists(directory / name).empty()) << name;
    EXPECT_THROW(entries_of(directory / name), Error) << name;
  }
}

TEST(RemoveTree, RemovesEverythingBelow) {
  TempDir directory;
  make_directories(directory / "tree/a/b/c");
  for (int i = 0; i < 300; ++i) write(directory / ("tree/a/" + std::to_string(i)), "x");
  fs::create_symlink("/nowhere", directory / "tree/broken");
  ::mkfifo((directory / "tree/fifo").c_str(), 0600);
  write(directory / "beside", "keep");

  remove_tree(directory / "tree");
  remove_tree(directory / "tree");      // nothing there is fine
  remove_tree(directory / "tree/a/b");  // nor above
  EXPECT_FALSE(fs::exists(directory / "tree"));

  fs::create_directory(directory / "tree");
  remove_tree(directory / "tree/");
  EXPECT_FALSE(fs::exists(directory / "tree"));
  EXPECT_EQ(read_file(directory / "beside"), "keep");
}

TEST(RemoveTree, NeverFollowsALink) {
  TempDir directory;
  make_directories(directory / "victim/inside");
  write(directory / "victim/file", "keep");
  make_directories(directory / "tree");
  fs::create_directory_symlink(directory / "victim", directory / "tree/link");
  fs::create_directory_symlink(directory / "victim", directory / "root_link");

  remove_tree(directory / "tree");
  remove_tree(directory / "root_link");

  EXPECT_FALSE(fs::exists(directory / "tree"));
  EXPECT_FALSE(fs::is_symlink(directory / "root_link"));
  EXPECT_EQ(read_file(directory / "victim/file"), "keep");
  EXPECT_TRUE(fs::exists(directory / "victim/inside"));
}

TEST(RemoveTree, RemovesAPlainFile) {
  TempDir directory;
  write(directory / "file", "x");
  remove_tree(directory / "file");
  EXPECT_FALSE(fs::exists(directory / "file"));
}

TEST(RemoveTree, RefusesPathsThatNameNoEntry) {
  for (const char* path : {"", "/", ".", "..", "/tmp/..", "x/."}) {
    EXPECT_THAT([&] { remove_tree(path); }, throws(ErrorKind::internal)) << path;
  }
}

TEST(RemoveTree, LeavesAMountedFileSystemAlone) {
  TempDir directory;
  make_directories(directory / "tree/mount");
  if (::mount("none", (directory / "tree/mount").c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "only root can mount";
  }
  write(directory / "tree/mount/file", "keep");

  EXPECT_THAT([&] { remove_tree(directory / "tree"); }, throws(ErrorKind::busy, "unmount it"));
  EXPECT_THAT([&] { remove_tree(directory / "tree/mount"); }, throws(ErrorKind::busy));
  EXPECT_EQ(read_file(directory / "tree/mount/file"), "keep");

  ::umount((directory / "tree/mount").c_str());
}

TEST(RemoveTree, LeavesABindMountOfTheSameFileSystemAlone) {
  TempDir directory;
  make_directories(directory / "tree/mount");
  make_directories(directory / "other");
  write(directory / "other/file", "keep");
  if (::mount((directory / "other").c_str(), (directory / "tree/mount").c_str(), nullptr, MS_BIND,
              nullptr) != 0) {
    GTEST_SKIP() << "only root can mount";
  }

  EXPECT_THAT([&] { remove_tree(directory / "tree"); }, throws(ErrorKind::busy, "unmount it"));
  ::umount((directory / "tree/mount").c_str());

  EXPECT_EQ(read_file(directory / "other/file"), "keep");
}

TEST(Below, NoLinkIsFollowedOnTheWay) {
  TempDir directory;
  make_directories(directory / "root/a/b");
  make_directories(directory / "victim/b");
  write(directory / "victim/b/file", "keep");
  write(directory / "root/a/b/file", "x");
  fs::create_directory_symlink(directory / "root", directory / "way");  // of the root's own
  const fs::path root = directory / "way";

  rename_below(root, root / "a/b/file", root / "a/moved");
  EXPECT_TRUE(fs::exists(root / "a/moved"));
  remove_below(root, root / "a/b");
  EXPECT_FALSE(fs::exists(root / "a/b"));
  remove_below(root, root / "absent/file");  // nothing there is fine

  fs::rename(root / "a", root / "before");
  fs::create_directory_symlink(directory / "victim", root / "a");
  EXPECT_THAT([&] { remove_below(root, root / "a/b"); }, throws(ErrorKind::denied, "is a link"));
  EXPECT_THAT([&] { rename_below(root, root / "a/b", root / "b"); }, throws(ErrorKind::denied));
  EXPECT_THAT([&] { rename_below(root, root / "before", root / "a/b"); },
              throws(ErrorKind::denied));
  EXPECT_EQ(read_file(directory / "victim/b/file"), "keep");
  remove_below(root, root / "a");
  EXPECT_FALSE(fs::is_symlink(root / "a"));
}

TEST(Below, OnlyWhatIsBelow) {
  TempDir directory;
  make_directories(directory / "root");
  write(directory / "beside", "keep");
  for (const char* path : {"root", "beside", "root/../beside", "root/"})
    EXPECT_THAT([&] { remove_below(directory / "root", directory / path); },
                throws(ErrorKind::internal))
        << path;
  EXPECT_EQ(read_file(directory / "beside"), "keep");
}

// Whether another process can take the lock.
bool free_for_others(const fs::path& path) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(FileLock::try_acquire(path) ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(FileLock, ExcludesOthersUntilItIsGone) {
  TempDir directory;
  const fs::path path = directory / "lock";
  {
    auto lock = FileLock::try_acquire(path);
    ASSERT_TRUE(lock);
    EXPECT_FALSE(free_for_others(path));
    EXPECT_FALSE(FileLock::try_acquire(path));

    const FileLock moved = std::move(*lock);
    EXPECT_FALSE(free_for_others(path));
  }
  EXPECT_TRUE(free_for_others(path));
  EXPECT_TRUE(FileLock::try_acquire(path));
}

TEST(FileLock, EndsWithTheProcessThatHoldsIt) {
  TempDir directory;
  const fs::path path = directory / "lock";
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto lock = FileLock::try_acquire(path);
    ::_exit(lock ? 0 : 1);  // without unwinding
  }
  int status = 0;
  ::waitpid(pid, &status, 0);

  EXPECT_EQ(status, 0);
  EXPECT_TRUE(FileLock::try_acquire(path));
}

TEST(FileLock, WhoAsksForItIsNotTakenForItsHolder) {
  TempDir directory;
  const fs::path path = directory / "lock";
  EXPECT_FALSE(FileLock::is_held(path));
  EXPECT_FALSE(fs::exists(path));
  {
    const auto lock = FileLock::try_acquire(path);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(FileLock::is_held(path));
  }
  // Another one that asks at this moment.
  const Fd other = open_file(path, O_RDONLY);
  ASSERT_EQ(::flock(other.get(), LOCK_SH | LOCK_NB), 0);

  EXPECT_FALSE(FileLock::is_held(path));
}

TEST(WholePath, IsAbsoluteAndOneForOneDirectory) {
  EXPECT_EQ(whole_path("/ssd/"), "/ssd");
  EXPECT_EQ(whole_path("/ssd/./a/../b//"), "/ssd/b");
  EXPECT_EQ(whole_path("/"), "/");
  EXPECT_EQ(whole_path("a"), std::filesystem::current_path() / "a");
}

TEST(LiesIn, IsToldByWholeNames) {
  EXPECT_TRUE(lies_in("/a/b", "/a"));
  EXPECT_TRUE(lies_in("/a", "/a"));
  EXPECT_TRUE(lies_in("/a", "/"));
  EXPECT_FALSE(lies_in("/ab", "/a"));
  EXPECT_FALSE(lies_in("/a", "/a/b"));
}

TEST(DiskSpace, IsThatOfTheNearestExistingAncestor) {
  TempDir directory;

  const DiskSpace here = disk_space(directory.path());
  const DiskSpace below = disk_space(directory / "not/yet/there");

  EXPECT_GT(here.total_bytes, here.free_bytes);
  EXPECT_GT(here.free_bytes, 0u);
  EXPECT_EQ(below.device, here.device);
  EXPECT_EQ(below.total_bytes, here.total_bytes);
  struct stat about {};
  ::stat(directory.path().c_str(), &about);
  EXPECT_EQ(here.device, about.st_dev);
  EXPECT_GT(disk_space("relative/and/missing").total_bytes, 0u);
}

}  // namespace
}  // namespace pgrevive
