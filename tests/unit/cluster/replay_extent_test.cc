#include "cluster/replay_extent.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Timeline;
using postgres::WalSegment;
using restore::RecoveryType;

constexpr std::uint32_t kSize = 16u << 20;

WalSegment segment(std::uint64_t number) { return {Timeline(1), number, kSize}; }

// Of a backup that ends in segment 6, in an archive whose newest is segment 900.
std::optional<std::uint64_t> last(RecoveryType type, const std::string& target = {},
                                  const std::optional<TargetPoint>& point = {}) {
  RecoveryGoal goal{.target = {.type = type, .target = target}, .backup_stop = segment(6)};
  return last_to_replay(goal, point, segment(900), kSize);
}

TEST(ReplayExtentTest, EndsWhereTheTargetIs) {
  EXPECT_EQ(last(RecoveryType::latest), 900U);
  EXPECT_EQ(last(RecoveryType::immediate), 6U);
  EXPECT_EQ(last(RecoveryType::lsn, "0/8000028"), 8U);
  const TargetPoint point{.segment = segment(11).name()};
  EXPECT_EQ(last(RecoveryType::name, "here", point), 11U);
  EXPECT_EQ(last(RecoveryType::xid, "733", point), 11U);
}

TEST(ReplayExtentTest, SaysNothingWhereOnlyTheWalTells) {
  EXPECT_EQ(last(RecoveryType::time, "2026-11-22 14:05:00+00"), std::nullopt);
  EXPECT_EQ(last(RecoveryType::name, "here"), std::nullopt);
  RecoveryGoal goal{.target = {.type = RecoveryType::latest}};
  EXPECT_EQ(last_to_replay(goal, {}, {}, kSize), std::nullopt);
}

}  // namespace
}  // namespace pgrevive::cluster
