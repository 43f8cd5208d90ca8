#include "cluster/half_promoted.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::ControlFile;
using postgres::Timeline;
using State = ControlFile::State;

bool half(State state, std::uint32_t minimum_timeline) {
  ControlFile control;
  control.state = state;
  control.minimum_recovery_timeline = Timeline(minimum_timeline);
  return half_promoted(control, Timeline(5));
}

TEST(HalfPromoted, IsOneThatPgControlStillHasInRecovery) {
  EXPECT_TRUE(half(State::in_archive_recovery, 5));
  EXPECT_TRUE(half(State::in_archive_recovery, 2));  // it had not reached the line's own yet
  EXPECT_TRUE(half(State::shut_down_in_recovery, 5));
}

TEST(HalfPromoted, IsNoneThatWritesItsOwnTimeline) {
  EXPECT_FALSE(half(State::in_archive_recovery, 6));  // PostgreSQL follows it from here by itself
  EXPECT_FALSE(half(State::in_production, 0));
  EXPECT_FALSE(half(State::in_crash_recovery, 6));
  EXPECT_FALSE(half(State::shut_down, 0));
}

}  // namespace
}  // namespace pgrevive::cluster
