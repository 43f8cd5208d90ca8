#include "base/mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive {
namespace {

constexpr const char* kTable =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "36 22 98:0 /mnt1 /srv/one/primary rw,noatime master:1 - ext3 /dev/root rw\n"
    "37 22 98:0 / /srv/one/replica/data/pg\\040wal rw - xfs /dev/b rw\n";

TEST(MountBelow, IsTheFirstBelowThatDirectory) {
  EXPECT_EQ(mount_below("/srv/one/replica", kTable), "/srv/one/replica/data/pg wal");
  EXPECT_EQ(mount_below("/srv/one", kTable), "/srv/one/primary");
  EXPECT_FALSE(mount_below("/srv/one/primary", kTable));
  EXPECT_FALSE(mount_below("/srv/one/rep", kTable));
  EXPECT_FALSE(mount_below("/srv/one/primary", ""));
}

TEST(MountBelow, IsLookedForOnThisHost) {
  const test::TempDir directory;
  EXPECT_FALSE(mount_below(directory.path()));
  EXPECT_THROW(mount_below(directory.path() / "gone"), Error);
}

TEST(MountsIn, ArePlacesBelowADirectoryOrItself) {
  const test::TempDir directory;
  make_directories(directory / "tree/a place");
  make_directories(directory / "tree beside");
  EXPECT_TRUE(mounts_in(directory / "tree").empty());
  EXPECT_TRUE(mounts_in(directory / "absent").empty());
  for (const char* name : {"tree/a place", "tree beside"}) {
    if (::mount((directory / "tree").c_str(), (directory / name).c_str(), nullptr, MS_BIND,
                nullptr) != 0) {
      GTEST_SKIP() << "only root can mount";
    }
  }
  const auto below = mounts_in(directory / "tree");
  const auto itself = mounts_in(directory / "tree beside");
  for (const char* name : {"tree/a place", "tree beside"}) ::umount((directory / name).c_str());
  EXPECT_THAT(below, testing::ElementsAre(directory / "tree/a place"));
  EXPECT_THAT(itself, testing::ElementsAre(directory / "tree beside"));
}

}  // namespace
}  // namespace pgrevive
