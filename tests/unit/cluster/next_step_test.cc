#include "cluster/next_step.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using restore::DirectoryState;

constexpr NodeView kAbsent{};
constexpr NodeView kForeign{.directory = DirectoryState::foreign};
constexpr NodeView kInterrupted{.directory = DirectoryState::interrupted};
constexpr NodeView kWhole{.directory = DirectoryState::complete};
constexpr NodeView kHalfCopied{.directory = DirectoryState::complete, .unfinished = true};
constexpr NodeView kHalfCopiedEarly{.directory = DirectoryState::foreign, .unfinished = true};
constexpr NodeView kPromoted{.directory = DirectoryState::complete, .promoted = true};
constexpr NodeView kSetUp{.directory = DirectoryState::complete, .promoted = true, .set_up = true};
constexpr NodeView kJoined{.directory = DirectoryState::complete, .joined = true};

Step primary(const NodeView& node, bool from_backup = true) {
  return next_step(Role::primary, node, node, from_backup);
}
Step replica(const NodeView& node, const NodeView& of, bool from_backup = true) {
  return next_step(Role::replica, node, of, from_backup);
}

TEST(NextStep, APrimaryWithoutDataIsRestored) {
  EXPECT_EQ(primary(kAbsent), Step::restore);
  EXPECT_EQ(primary({.directory = DirectoryState::empty}), Step::restore);
  EXPECT_EQ(primary(kInterrupted), Step::restore);
}

TEST(NextStep, APrimaryWithoutBackupIsMadeEmpty) {
  EXPECT_EQ(primary(kAbsent, false), Step::initialize);
  EXPECT_EQ(primary(kHalfCopied, false), Step::initialize);
  EXPECT_EQ(primary(kHalfCopiedEarly, false), Step::initialize);
}

TEST(NextStep, SomebodyElsesDirectoryIsRefused) {
  EXPECT_EQ(primary(kForeign), Step::refuse);
  EXPECT_EQ(primary(kForeign, false), Step::refuse);
  EXPECT_EQ(replica(kForeign, kSetUp), Step::refuse);
}

TEST(NextStep, ARestoredPrimaryRecoversThenIsSetUpThenRuns) {
  EXPECT_EQ(primary(kWhole), Step::recover);
  EXPECT_EQ(primary(kPromoted), Step::set_up);
  EXPECT_EQ(primary(kSetUp), Step::run);
}

TEST(NextStep, AReplicaIsRestoredBesideItsPrimary) {
  EXPECT_EQ(replica(kAbsent, kAbsent), Step::restore);
  EXPECT_EQ(replica(kInterrupted, kInterrupted), Step::restore);
  EXPECT_EQ(replica(kAbsent, kWhole), Step::restore);
}

TEST(NextStep, AReplicaThatComesAfterThePromotionIsRebuilt) {
  EXPECT_EQ(replica(kAbsent, kPromoted), Step::wait);
  EXPECT_EQ(replica(kAbsent, kSetUp), Step::rebuild);
  EXPECT_EQ(replica(kInterrupted, kSetUp), Step::rebuild);
  EXPECT_EQ(replica(kHalfCopied, kSetUp), Step::rebuild);
  EXPECT_EQ(replica(kHalfCopiedEarly, kSetUp), Step::rebuild);
}

TEST(NextStep, AReplicaOfAnEmptyClusterIsRebuiltToo) {
  EXPECT_EQ(replica(kAbsent, kAbsent, false), Step::wait);
  EXPECT_EQ(replica(kAbsent, kSetUp, false), Step::rebuild);
}

TEST(NextStep, ARestoredReplicaWaitsForThePromotionBeforeItStarts) {
  EXPECT_EQ(replica(kWhole, kWhole), Step::wait);
  EXPECT_EQ(replica(kWhole, kPromoted), Step::wait);
  EXPECT_EQ(replica(kWhole, kSetUp), Step::join);
  EXPECT_EQ(replica(kJoined, kSetUp), Step::run);
}

}  // namespace
}  // namespace pgrevive::cluster
