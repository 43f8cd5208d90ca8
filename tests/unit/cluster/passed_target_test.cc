#include "cluster/passed_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;
using restore::RecoveryTarget;
using restore::RecoveryType;
using testing::HasSubstr;

// 2026-11-22 14:05:00+00 in microseconds.
constexpr std::int64_t kMoment = 1'795'356'300'000'000;

class PassedTargetTest : public testing::Test {
 protected:
  std::optional<Error> judge(RecoveryTarget target) const {
    return passed_target(target, line_, point_, reached_);
  }

  TimelineHistory line_{.timeline = Timeline(1), .ancestors = {}};
  std::optional<TargetPoint> point_;
  Reached reached_{.lsn = Lsn(0x5000100),
                   .timeline = Timeline(1),
                   .checkpoint = Lsn(0x5000080),
                   .consistent = Lsn(0x4000000),
                   .newest_transaction = {}};
};

TEST_F(PassedTargetTest, AllThatThereIsLiesAhead) {
  EXPECT_FALSE(judge({.type = RecoveryType::latest}));
}

TEST_F(PassedTargetTest, AnLsnBehindWhatWasReached) {
  EXPECT_FALSE(judge({.type = RecoveryType::lsn, .target = "0/5000100"}));
  EXPECT_FALSE(judge({.type = RecoveryType::lsn, .target = "0/5000080"}))
      << "it may be the last record";
  const auto error = judge({.type = RecoveryType::lsn, .target = "0/500007F"});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::usage);
  EXPECT_THAT(error->what(), HasSubstr("lsn 0/500007F cannot be reached any more"));
  EXPECT_THAT(error->what(), HasSubstr("0/5000100 on timeline 1"));
}

TEST_F(PassedTargetTest, ImmediateIsWhereTheBackupBecameConsistent) {
  EXPECT_TRUE(judge({.type = RecoveryType::immediate}));
  reached_.lsn = reached_.consistent;
  EXPECT_FALSE(judge({.type = RecoveryType::immediate}));
}

TEST_F(PassedTargetTest, ATimeIsJudgedByTheTransactionsThatWereReplayed) {
  RecoveryTarget target{.type = RecoveryType::time, .target = "2026-11-22 14:05:00+00"};
  EXPECT_FALSE(judge(target));
  reached_.newest_transaction = kMoment;
  EXPECT_FALSE(judge(target));
  target.exclusive = true;
  EXPECT_TRUE(judge(target));
  target.exclusive = false;
  reached_.newest_transaction = kMoment + 1;
  const auto error = judge(target);
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("a transaction of 2026-11-22 14:05:00"));
}

TEST_F(PassedTargetTest, ANameNeedsItsPlace) {
  const RecoveryTarget target{.type = RecoveryType::name, .target = "here"};
  EXPECT_TRUE(judge(target));
  point_.emplace().begin = Lsn(0x5000100);
  EXPECT_FALSE(judge(target));
  point_->begin = Lsn(0x5000000);
  EXPECT_TRUE(judge(target));
}

TEST_F(PassedTargetTest, ALineThatLeftBeforeIsRefusedWhateverTheTarget) {
  line_ = {.timeline = Timeline(2),
           .ancestors = {{.timeline = Timeline(1), .ended = Lsn(0x5000100), .reason = {}}}};
  EXPECT_FALSE(judge({.type = RecoveryType::latest}));
  line_.ancestors.front().ended = Lsn(0x50000FF);
  const auto error = judge({.type = RecoveryType::latest});
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("timeline 2 does not pass that"));
}

TEST_F(PassedTargetTest, WhereNothingWasReplayedAnythingIsAhead) {
  reached_.lsn = Lsn();
  EXPECT_FALSE(judge({.type = RecoveryType::lsn, .target = "0/1"}));
}

}  // namespace
}  // namespace pgrevive::cluster
