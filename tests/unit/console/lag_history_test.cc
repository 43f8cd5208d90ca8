#include "console/lag_history.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace pgrevive::console {
namespace {

LagSample at(std::int64_t seconds, std::optional<double> lag) {
  return {.time_ms = seconds * 1000,
          .lags = {{"replica", {.bytes = std::nullopt, .seconds = lag}}}};
}

TEST(LagHistory, KeepsOfWhatIsOldTheGreatestOfEachMinute) {
  LagHistory history;
  for (int second = 0; second < 3600; ++second)
    history.add(at(second, second == 90 ? 7.0 : second == 91 ? std::optional<double>() : 0.5));

  const auto samples = history.samples();

  // 45 minutes, and the last quarter of an hour second by second, with both of its ends.
  ASSERT_EQ(samples.size(), 45u + 901u);
  EXPECT_EQ(samples[0].lags.at("replica").seconds, 0.5);
  EXPECT_EQ(samples[1].time_ms, 60'000);
  EXPECT_EQ(samples[1].lags.at("replica").seconds, 7.0);
  EXPECT_EQ(samples.back().time_ms, 3'599'000);
  EXPECT_TRUE(std::ranges::is_sorted(samples, {}, &LagSample::time_ms));
}

TEST(LagHistory, ForgetsWhatIsOlderThanADay) {
  LagHistory history;
  for (int minute = 0; minute < 3 * 24 * 60; ++minute) history.add(at(minute * 60, 0));
  EXPECT_EQ(history.samples().size(), 24u * 60u + 1u);
}

TEST(LagHistory, BeginsAnewWhereTheClockIsSetBack) {
  LagHistory history;
  history.add(at(5000, 1));
  history.add(at(100, 2));
  ASSERT_EQ(history.samples().size(), 1u);
  EXPECT_EQ(history.samples()[0].time_ms, 100'000);
}

}  // namespace
}  // namespace pgrevive::console
