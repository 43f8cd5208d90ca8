#include "cluster/container_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster::containers {
namespace {

SupervisorStatus at(Phase phase, std::int64_t began_ms = 1000) {
  SupervisorStatus status;
  status.phase = phase;
  status.phases = {{.phase = phase, .began_ms = began_ms}};
  return status;
}

RequestReport request(const std::string& act, const std::string& state, std::int64_t began_ms) {
  return {.id = act, .act = act, .node = "replica", .state = state, .began_ms = began_ms};
}

TEST(ContainerStatus, HasWhatAllNodesSay) {
  Keeper primary{true, at(Phase::running)};
  primary.status.restarts = 1;
  primary.status.notices = {{.text = "both"}};
  primary.status.changed_settings = {"fsync: on"};
  primary.status.dropped_settings = {"port"};
  Keeper replica{true, at(Phase::running)};
  replica.status.restarts = 2;
  replica.status.notices = {{.text = "both"}, {.text = "of the replica"}};
  replica.status.changed_settings = {"fsync: on", "max_connections: 100 -> 420"};
  replica.status.dropped_settings = {"port", "ssl"};
  const auto one = as_one(primary, {replica});
  EXPECT_EQ(one.phase, Phase::running);
  EXPECT_EQ(one.restarts, 3);
  std::vector<std::string> said;
  for (const auto& notice : one.notices) said.push_back(notice.text);
  EXPECT_THAT(said, testing::ElementsAre("both", "of the replica"));
  EXPECT_THAT(one.changed_settings,
              testing::ElementsAre("fsync: on", "max_connections: 100 -> 420"));
  EXPECT_THAT(one.dropped_settings, testing::ElementsAre("port", "ssl"));
}

TEST(ContainerStatus, TellsOfTheLastRequest) {
  Keeper primary{true, at(Phase::running)};
  Keeper replica{true, at(Phase::running)};
  primary.status.request = request("restart", "done", 10);
  EXPECT_EQ(as_one(primary, {replica}).request->act, "restart");
  replica.status.request = request("rebuild", "working", 20);
  EXPECT_EQ(as_one(primary, {replica}).request->act, "rebuild");
  EXPECT_EQ(as_one(primary, {replica}).request->state, "working");
  primary.status.request->began_ms = 30;
  EXPECT_EQ(as_one(primary, {replica}).request->act, "restart");
  // Nobody works on it any more.
  primary.status.request.reset();
  replica.lives = false;
  EXPECT_EQ(as_one(primary, {replica}).request->state, "failed");
  EXPECT_EQ(as_one(primary, {replica}).request->error, "cut off");
}

TEST(ContainerStatus, IsAtWhatAReplicaIsAt) {
  const Keeper primary{true, at(Phase::running, 1000)};
  Keeper replica{true, at(Phase::restoring, 5000)};
  replica.status.restore.bytes_done = 17;
  const auto one = as_one(primary, {replica});
  EXPECT_EQ(one.phase, Phase::restoring);
  EXPECT_EQ(one.restore.bytes_done, 17u);
  ASSERT_EQ(one.phases.size(), 2u);
  EXPECT_EQ(one.phases.front().ended_ms, 5000);
  EXPECT_EQ(one.phases.back().phase, Phase::restoring);
  // What nobody does any more; and that it is on its way up its node says.
  replica.lives = false;
  EXPECT_EQ(as_one(primary, {replica}).phase, Phase::running);
  EXPECT_EQ(as_one(primary, {{true, at(Phase::preparing)}}).phase, Phase::running);
  // The primary is at more.
  EXPECT_EQ(as_one({true, at(Phase::recovering)}, {{true, at(Phase::joining)}}).phase,
            Phase::recovering);
}

TEST(ContainerStatus, HasFailedWhereAReplicaHas) {
  Keeper replica{false, at(Phase::failed)};
  replica.status.error = "the server of replica does not come up";
  replica.status.exit_code = 27;
  const auto one = as_one({true, at(Phase::running)}, {replica});
  EXPECT_EQ(one.phase, Phase::failed);
  EXPECT_EQ(one.error, replica.status.error);
  EXPECT_EQ(one.exit_code, 27);
  auto primary = at(Phase::failed);
  primary.error = "the primary";
  EXPECT_EQ(as_one({false, primary}, {replica}).error, "the primary");
}

TEST(ContainerStatus, IsReadOfTheVolumesBesideThePrimarys) {
  const test::TempDir volumes;
  const auto primary = StateDirectory::on_volume(volumes.path(), "primary");
  const auto replica = StateDirectory::on_volume(volumes.path(), "replica");
  EXPECT_FALSE(read_as_one(primary, {}));
  for (const auto& directory : {primary, replica}) {
    make_directories(directory.run());
    auto status = at(Phase::running);
    status.restarts = 2;
    write_file_atomic(directory.status(), to_json(status));
  }
  EXPECT_EQ(read_as_one(primary, {})->restarts, 4);
}

TEST(ContainerStatus, NamesPlacesAsTheyAreInAContainer) {
  EXPECT_EQ(path_in_container("/pgrevive/replica/pgdata"), "/var/lib/postgresql/data/pgdata");
  EXPECT_EQ(path_in_container("/pgrevive/primary"), "/var/lib/postgresql/data");
  EXPECT_EQ(path_in_container("s3://bucket/pgrevive"), "s3://bucket/pgrevive");
  EXPECT_EQ(cat_in_container({}, "primary", "/pgrevive/primary/collations.json"),
            "docker exec postgres-cluster-primary cat /var/lib/postgresql/data/collations.json");
  ClusterStatus status;
  status.state_directory = "/pgrevive/primary/pgrevive";
  status.archive = "/pgrevive/primary/pgrevive/archive";
  status.nodes = {{.data_directory = "/pgrevive/primary/pgdata"}};
  tell_places_in_containers(status);
  EXPECT_EQ(status.state_directory, "/var/lib/postgresql/data/pgrevive");
  EXPECT_EQ(status.archive, "/var/lib/postgresql/data/pgrevive/archive");
  EXPECT_EQ(status.nodes[0].data_directory, "/var/lib/postgresql/data/pgdata");
}

}  // namespace
}  // namespace pgrevive::cluster::containers
