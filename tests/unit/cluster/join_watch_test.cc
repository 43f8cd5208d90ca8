#include "cluster/join_watch.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using std::chrono::minutes;

JoinSight sight() {
  return {.server = 77,
          .timeline = Timeline(1),
          .reached = Lsn(0x3000),
          .last_delivered = "000000010000000000000003",
          .primary_timeline = Timeline(2),
          .primary_end = Lsn(0x4000),
          .nowhere = {}};
}

TEST(OffTheLine, IsWhoIsPastThePrimarysEnd) {
  auto seen = sight();
  EXPECT_EQ(off_the_line(seen), std::nullopt);
  seen.reached = seen.primary_end;
  EXPECT_EQ(off_the_line(seen), std::nullopt);
  seen.reached = Lsn(0x4001);
  EXPECT_EQ(off_the_line(seen),
            "it has replayed to 0/4001, and its primary has written to 0/4000 only");
}

TEST(OffTheLine, IsWhoIsOnALaterTimeline) {
  auto seen = sight();
  seen.timeline = Timeline(2);
  EXPECT_EQ(off_the_line(seen), std::nullopt);
  seen.timeline = Timeline(3);
  EXPECT_EQ(off_the_line(seen), "it is on timeline 3, and its primary on timeline 2");
}

TEST(OffTheLine, IsNotKnownWhileThePrimaryDoesNotAnswer) {
  auto seen = sight();
  seen.timeline = Timeline(9);
  seen.reached = Lsn(0x9000);
  seen.primary_timeline.reset();
  seen.primary_end = Lsn();
  EXPECT_EQ(off_the_line(seen), std::nullopt);
}

TEST(LostWatch, NoticesOneSegmentThatIsNowhereAllTheTime) {
  LostWatch watch(minutes(1));
  const std::chrono::steady_clock::time_point start{};
  auto seen = sight();
  EXPECT_FALSE(watch.lost(seen, start));
  EXPECT_FALSE(watch.lost(seen, start + minutes(5)));
  seen.nowhere = "000000020000000000000003";
  EXPECT_FALSE(watch.lost(seen, start + minutes(6)));
  EXPECT_TRUE(watch.lost(seen, start + minutes(7)));
  // It came, or it is another one now: from there on anew.
  seen.nowhere.clear();
  EXPECT_FALSE(watch.lost(seen, start + minutes(8)));
  seen.nowhere = "000000020000000000000004";
  EXPECT_FALSE(watch.lost(seen, start + minutes(9)));
  EXPECT_TRUE(watch.lost(seen, start + minutes(10)));
}

class Watched : public testing::Test {
 protected:
  bool stuck_at(int minute) { return watch.stuck(seen, start + minutes(minute)); }

  JoinWatch watch{minutes(10)};
  JoinSight seen = sight();
  const std::chrono::steady_clock::time_point start{};
};

TEST_F(Watched, IsStuckWhenNothingMoves) {
  EXPECT_FALSE(stuck_at(0));
  EXPECT_FALSE(stuck_at(9));
  EXPECT_TRUE(stuck_at(10));
}

TEST_F(Watched, MovesWhenItReplaysOrIsGivenSomethingNew) {
  EXPECT_FALSE(stuck_at(0));
  seen.reached = Lsn(0x3001);
  EXPECT_FALSE(stuck_at(8));
  seen.last_delivered = "000000010000000000000004";
  EXPECT_FALSE(stuck_at(16));
  seen.timeline = Timeline(2);
  EXPECT_FALSE(stuck_at(24));
  seen.server = 78;
  EXPECT_FALSE(stuck_at(32));
  EXPECT_TRUE(stuck_at(42));
}

// A walsender that comes and goes shows its position and hides it again; segments are asked for in
// turn, and the primary writes on.
TEST_F(Watched, DoesNotMoveByTryingAgain) {
  EXPECT_FALSE(stuck_at(0));
  seen.last_delivered = "000000010000000000000004";
  EXPECT_FALSE(stuck_at(1));
  for (int minute = 2; minute < 11; ++minute) {
    seen.reached = minute % 2 == 0 ? Lsn(0x2000) : Lsn(0x3000);
    seen.last_delivered = minute % 3 == 0 ? "000000010000000000000003" : "000000010000000000000004";
    seen.primary_end = Lsn(0x4000 + static_cast<std::uint64_t>(minute));
    EXPECT_FALSE(stuck_at(minute)) << minute;
  }
  EXPECT_TRUE(stuck_at(11));
}

}  // namespace
}  // namespace pgrevive::cluster
