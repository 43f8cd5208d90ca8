#include "cluster/rates.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

SupervisorStatus restoring(std::uint64_t done) {
  SupervisorStatus status;
  status.phase = Phase::restoring;
  status.phases = {{Phase::preparing, 1000, 2000}, {Phase::restoring, 2000, 0}};
  status.restore = {.bytes_total = 9'000, .bytes_done = done, .bytes_kept = 1'000};
  return status;
}

// What an earlier attempt has left is neither fast nor to be made.
TEST(RateMeter, CountsWhatIsMadeNow) {
  RateMeter meter;
  EXPECT_EQ(meter.look(restoring(1'000), 2000).bytes_per_second, 0);
  const auto rates = meter.look(restoring(5'000), 6000);
  EXPECT_EQ(rates.bytes_per_second, 1000);
  EXPECT_EQ(rates.average_bytes_per_second, 1000);
  EXPECT_EQ(rates.left_ms, 4000);
  EXPECT_EQ(rates.wal_left_ms, std::nullopt);
  EXPECT_EQ(meter.look(restoring(5'000), 10'000).average_bytes_per_second, 500);
}

TEST(RateMeter, KnowsThePaceOfReplayUpToItsTarget) {
  RateMeter meter;
  auto status = restoring(9'000);
  status.phase = Phase::recovering;
  status.phases = {{Phase::restoring, 2000, 6000}, {Phase::recovering, 6000, 0}};
  meter.look(status, 6000);
  status.wal_segments_done = 2;
  auto rates = meter.look(status, 10'000);
  EXPECT_EQ(rates.segments_per_second, 0.5);
  EXPECT_EQ(rates.wal_left_ms, std::nullopt);  // nobody knows yet how many there are
  status.wal_segments_total = 6;
  rates = meter.look(status, 10'000);
  EXPECT_EQ(rates.wal_left_ms, 8000);
  EXPECT_EQ(rates.bytes_per_second, 0);
  EXPECT_EQ(rates.average_bytes_per_second, 2000);
}

// A replica that was made anew since then is what the bytes are of, and a switchover made none.
TEST(RateMeter, IsOfTheLastRestore) {
  auto status = restoring(9'000);
  status.phase = Phase::running;
  status.phases = {{Phase::preparing, 1000, 2000},     {Phase::restoring, 2000, 6000},
                   {Phase::joining, 6000, 7000},       {Phase::running, 7000, 10'000},
                   {Phase::joining, 10'000, 10'100},   {Phase::restoring, 10'100, 10'600},
                   {Phase::joining, 10'600, 11'000},   {Phase::running, 11'000, 20'000},
                   {Phase::promoting, 20'000, 21'000}, {Phase::running, 21'000, 0}};
  RateMeter meter;
  EXPECT_EQ(meter.look(status, 30'000).average_bytes_per_second, 16'000);
  const auto began = [&] {
    const auto phases = phases_of_restore(status.phases);
    return phases.empty() ? 0 : phases.front().began_ms;
  };
  EXPECT_EQ(began(), 10'000);
  EXPECT_EQ(phases_of_restore(status.phases).size(), 3);
  status.phases.resize(9);  // it changes places
  EXPECT_EQ(began(), 20'000);
  status.phases.resize(4);
  EXPECT_EQ(began(), 1000);
  status.phases.erase(status.phases.begin() + 1);  // all was there already
  EXPECT_EQ(began(), 1000);
  EXPECT_TRUE(phases_of_restore({}).empty());
}

}  // namespace
}  // namespace pgrevive::cluster
