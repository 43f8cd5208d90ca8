#include "base/mounts.h"

#include <gtest/gtest.h>

#include "base/error.h"
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

}  // namespace
}  // namespace pgrevive
