#include "cluster/state_directory.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace pgrevive::cluster {
namespace {

TEST(StateDirectory, LiesBelowPgreviveHomeWhereThatIsSet) {
  EXPECT_EQ(StateDirectory::locate("demo", "/srv/pg").root(), "/srv/pg/demo");
}

TEST(StateDirectory, LiesWhereTheUserKeepsState) {
  if (::geteuid() == 0) {
    EXPECT_EQ(StateDirectory::locate("demo", {}).root(), "/var/lib/pgrevive/demo");
    return;
  }
  ::setenv("XDG_STATE_HOME", "/home/someone/state", 1);
  EXPECT_EQ(StateDirectory::locate("demo", {}).root(), "/home/someone/state/pgrevive/demo");
  ::setenv("XDG_STATE_HOME", "relative", 1);
  EXPECT_THAT(StateDirectory::locate("demo", {}).root().string(),
              testing::EndsWith("/.local/state/pgrevive/demo"));
  ::unsetenv("XDG_STATE_HOME");
  ::setenv("HOME", "/home/elsewhere", 1);
  EXPECT_EQ(StateDirectory::locate("demo", {}).root(),
            "/home/elsewhere/.local/state/pgrevive/demo");
}

TEST(StateDirectory, OfContainersIsOnTheVolumeOfItsNode) {
  const auto directory = StateDirectory::on_volume("/pgrevive", "primary");
  EXPECT_EQ(directory.root(), "/pgrevive/primary/pgrevive");
  EXPECT_EQ(directory.data("primary"), "/pgrevive/primary/pgdata");
  EXPECT_EQ(directory.data("replica"), "/pgrevive/replica/pgdata");
  EXPECT_EQ(directory.logs("replica"), "/pgrevive/replica/logs");
  EXPECT_EQ(StateDirectory::on_volume("/pgrevive", "replica").secrets(),
            "/pgrevive/replica/pgrevive/secrets");
}

TEST(StateDirectory, KnowsItsOwnPlaces) {
  const StateDirectory local("/srv/demo");
  EXPECT_TRUE(local.holds("/srv/demo/primary/tablespaces/fast"));
  EXPECT_FALSE(local.holds("/srv/demo-other/fast"));
  EXPECT_FALSE(local.holds("/srv/demo/../fast"));
  // A tablespace lies beside the root there, and not in it.
  const auto volumes = StateDirectory::on_volume("/pgrevive", "primary");
  EXPECT_TRUE(volumes.holds(volumes.tablespaces("primary") / "fast"));
  EXPECT_FALSE(volumes.holds("/srv/fast"));
}

TEST(NodeNames, CountsReplicasFromTheSecondOn) {
  EXPECT_THAT(node_names(0), testing::ElementsAre("primary"));
  EXPECT_THAT(node_names(1), testing::ElementsAre("primary", "replica"));
  EXPECT_THAT(node_names(3), testing::ElementsAre("primary", "replica", "replica-2", "replica-3"));
}

}  // namespace
}  // namespace pgrevive::cluster
