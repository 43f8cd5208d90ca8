#include "cluster/replay_watch.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using namespace std::chrono_literals;
using postgres::Lsn;

// Looks five times a second at a server that is what `sight` says, changed by each test.
class ReplayWatchTest : public testing::Test {
 protected:
  bool look() {
    now_ += 200ms;
    return watch_.stuck(sight_, now_);
  }
  // What PostgreSQL does with a bad record: the same segment twice a second.
  void deliver_again() {
    if (++looks_ % 2 == 0) ++sight_.delivered_count;
  }

  ReplayWatch watch_{10s};
  ReplaySight sight_{.server = 4711,
                     .accepting = true,
                     .replayed = Lsn(0x5000028),
                     .checkpoint = Lsn(0x3000028),
                     .minimum = Lsn(0x4000000),
                     .delivered_count = 7,
                     .last_delivered = "000000010000000000000005"};
  std::chrono::steady_clock::time_point now_;
  int looks_ = 0;
};

TEST_F(ReplayWatchTest, IsStuckWhenOneSegmentArrivesAgainAndAgain) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(look()) << i;
    deliver_again();
  }
  EXPECT_TRUE(look());
}

TEST_F(ReplayWatchTest, IsStuckWhenTheSegmentsOfOneRecordArriveInTurn) {
  const char* names[] = {"000000010000000000000005", "000000010000000000000006"};
  bool stuck = false;
  for (int i = 0; i < 60 && !stuck; ++i) {
    ++sight_.delivered_count;
    sight_.last_delivered = names[i % 2];
    stuck = look();
  }
  EXPECT_TRUE(stuck);
}

TEST_F(ReplayWatchTest, IsStuckBeforeTheServerAnswersToo) {
  sight_.accepting = false;
  sight_.replayed = Lsn();
  bool stuck = false;
  for (int i = 0; i < 60 && !stuck; ++i) {
    deliver_again();
    stuck = look();
  }
  EXPECT_TRUE(stuck);
}

TEST_F(ReplayWatchTest, ASlowSegmentIsNotStuck) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(look());
}

TEST_F(ReplayWatchTest, AMovingServerIsNotStuck) {
  for (int i = 0; i < 1000; ++i) {
    deliver_again();
    if (i % 40 == 0) sight_.replayed = Lsn(sight_.replayed.value() + 8);
    EXPECT_FALSE(look());
  }
}

TEST_F(ReplayWatchTest, NewSegmentsAreMovementWhereNobodyMayAsk) {
  sight_.accepting = false;
  for (int i = 0; i < 1000; ++i) {
    ++sight_.delivered_count;
    sight_.last_delivered = std::to_string(i);
    EXPECT_FALSE(look());
  }
}

// It takes everything since its last restart point once more.
TEST_F(ReplayWatchTest, AServerThatWasStartedAgainIsNotStuck) {
  for (int server = 1; server < 20; ++server) {
    sight_.server = server;
    for (int i = 0; i < 30; ++i) {
      ++sight_.delivered_count;
      sight_.last_delivered = std::to_string(i);
      EXPECT_FALSE(look());
    }
  }
}

TEST_F(ReplayWatchTest, NeedsTimeAndDeliveries) {
  for (int i = 0; i < 40; ++i) {
    ++sight_.delivered_count;
    EXPECT_FALSE(look());
  }
  sight_.replayed = Lsn(0x5000128);
  EXPECT_FALSE(look());
  now_ += 60s;
  sight_.delivered_count += ReplayWatch::kDeliveries - 1;
  EXPECT_FALSE(look());
  ++sight_.delivered_count;
  EXPECT_TRUE(look());
}

}  // namespace
}  // namespace pgrevive::cluster
