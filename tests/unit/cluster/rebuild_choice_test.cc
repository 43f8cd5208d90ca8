#include "cluster/rebuild_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint32_t kSize = 16 * kMiB;

// Ten seconds to restore and two to replay, against sixteen to copy.
RebuildFacts facts() {
  return {.backup = "20240115-020000F",
          .files = 1000 * kMiB,
          .wal = 100 * kMiB,
          .primary = 3200 * kMiB,
          .restore = {.bytes_per_second = 100.0 * kMiB, .measured = true},
          .replay = {.bytes_per_second = 50.0 * kMiB},
          .copy = {.bytes_per_second = 200.0 * kMiB}};
}

TEST(RebuildChoice, TakesTheBackupWhereThatIsSooner) {
  const auto choice = choose_rebuild(ReplicaRebuild::sooner, facts());

  EXPECT_TRUE(choice.from_backup);
  EXPECT_THAT(choice.why, StartsWith("restored from backup 20240115-020000F: about 12"));
  EXPECT_THAT(choice.why, HasSubstr("105 MB/s as measured"));
  EXPECT_THAT(choice.why, HasSubstr("against about 16"));
}

TEST(RebuildChoice, TakesThePrimaryWhereThatIsSoonerOrAsSoon) {
  auto seen = facts();
  seen.wal = 300 * kMiB;
  EXPECT_FALSE(choose_rebuild(ReplicaRebuild::sooner, seen).from_backup);
  seen.wal = 301 * kMiB;
  const auto choice = choose_rebuild(ReplicaRebuild::sooner, seen);
  EXPECT_FALSE(choice.from_backup);
  EXPECT_THAT(choice.why, StartsWith("copied from the primary: about 16"));
  EXPECT_THAT(choice.why, HasSubstr("of WAL"));
}

TEST(RebuildChoice, CountsWhatLiesThereAlready) {
  auto seen = facts();
  seen.wal = 500 * kMiB;
  EXPECT_FALSE(choose_rebuild(ReplicaRebuild::sooner, seen).from_backup);
  seen.files = 100 * kMiB;
  EXPECT_TRUE(choose_rebuild(ReplicaRebuild::sooner, seen).from_backup);
}

TEST(RebuildChoice, FollowsTheWish) {
  EXPECT_FALSE(choose_rebuild(ReplicaRebuild::primary, facts()).from_backup);
  auto seen = facts();
  seen.wal = 100'000 * kMiB;
  EXPECT_TRUE(choose_rebuild(ReplicaRebuild::backup, seen).from_backup);
}

TEST(RebuildChoice, NeverTakesABackupThatCannotBeHad) {
  auto seen = facts();
  seen.obstacle = "it is gone";
  for (const auto wish : {ReplicaRebuild::sooner, ReplicaRebuild::backup}) {
    const auto choice = choose_rebuild(wish, seen);
    EXPECT_FALSE(choice.from_backup);
    EXPECT_EQ(choice.why, "copied from the primary: not from the backup, because it is gone");
    EXPECT_EQ(choice.obstacle, "it is gone");
  }
}

TEST(Rate, IsMeasuredOverEnoughOnly) {
  using std::chrono::milliseconds;
  EXPECT_EQ(rate_of(200 * kMiB, milliseconds(2000), 7).bytes_per_second, 100.0 * kMiB);
  EXPECT_TRUE(rate_of(200 * kMiB, milliseconds(2000), 7).measured);
  EXPECT_EQ(rate_of(63 * kMiB, milliseconds(2000), 7).bytes_per_second, 7);
  EXPECT_FALSE(rate_of(200 * kMiB, milliseconds(0), 7).measured);
  EXPECT_FALSE(rate_of(0, milliseconds(9000), 7).measured);
}

class Missing : public testing::Test {
 protected:
  Missing() {
    for (const auto number : {2, 3}) stock.source.insert(name(1, number));
    stock.source.insert(name(1, 4));  // the old line past the fork
    for (const auto number : {4, 5}) stock.own.insert(name(2, number));
    for (const auto number : {6, 7}) stock.primary.insert(name(2, number));
  }
  static std::string name(std::uint32_t timeline, std::uint64_t number) {
    return WalSegment(Timeline(timeline), number, kSize).name();
  }
  std::optional<std::string> missing(std::uint64_t first = 2) const {
    return missing_segment(history, {Timeline(1), first, kSize}, {Timeline(2), 7, kSize}, stock);
  }

  // Timeline 1 was left in the middle of segment 4.
  postgres::TimelineHistory history{
      .timeline = Timeline(2),
      .ancestors = {{.timeline = Timeline(1), .ended = Lsn(4 * kSize + 100), .reason = ""}}};
  WalStock stock;
};

TEST_F(Missing, IsNothingWhereEachIsSomewhere) { EXPECT_EQ(missing(), std::nullopt); }

TEST_F(Missing, IsWhatTheSourceHasExpired) {
  stock.source.erase(name(1, 2));
  EXPECT_EQ(missing(), name(1, 2));
  EXPECT_EQ(missing(3), std::nullopt);
}

// The source's own segment of the fork leads past it.
TEST_F(Missing, IsTheSegmentOfTheForkThatOnlyTheSourceHas) {
  stock.own.erase(name(2, 4));
  EXPECT_EQ(missing(), name(2, 4));
  stock.primary.insert(name(2, 4));
  EXPECT_EQ(missing(), std::nullopt);
}

TEST_F(Missing, IsWhatThePrimaryHasRemovedAndNeverArchived) {
  stock.primary.erase(name(2, 6));
  EXPECT_EQ(missing(), name(2, 6));
}

TEST_F(Missing, IsTheFirst) {
  stock.own.clear();
  stock.primary.clear();
  EXPECT_EQ(missing(), name(2, 4));
}

}  // namespace
}  // namespace pgrevive::cluster
