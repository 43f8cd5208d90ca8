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

LagHistory history_of(int minutes) {
  LagHistory history;
  for (int second = 7; second < minutes * 60; second += 3)
    history.add({.time_ms = second * 1000,
                 .lags = {{"replica", {.bytes = 10'000 - second, .seconds = 0.25}},
                          {"replica-2", {.bytes = std::nullopt, .seconds = std::nullopt}}}});
  return history;
}

TEST(LagHistory, IsTakenUpByTheNextMinuteByMinute) {
  const auto text = history_of(60).text();
  auto next = LagHistory::parse(text);

  ASSERT_TRUE(next);
  const auto samples = next->samples();
  ASSERT_EQ(samples.size(), 60u);
  EXPECT_EQ(samples[0].time_ms, 7000);
  EXPECT_EQ(samples[0].lags.at("replica").bytes, 9'993u);  // the greatest of its minute
  EXPECT_EQ(samples[59].lags.at("replica").seconds, 0.25);
  EXPECT_FALSE(samples[59].lags.at("replica-2").bytes);
  EXPECT_EQ(next->text(), text);

  next->add(at(3700, 1));
  EXPECT_EQ(next->samples().size(), 61u);
  // Of two days ago there is nothing left, and of the future there is none.
  auto late = *next;
  late.add(at(2 * 86'400, 1));
  EXPECT_EQ(late.samples().size(), 1u);
  auto early = *LagHistory::parse(text);
  early.add(at(1, 1));
  EXPECT_EQ(early.samples().size(), 1u);
}

TEST(LagHistory, StaysSmallHoweverLongItIsKept) {
  LagHistory history;
  for (int minute = 0; minute < 3 * 24 * 60; ++minute) {
    history.add({.time_ms = minute * 60'000LL,
                 .lags = {{"replica", {.bytes = 1ULL << 40, .seconds = 1234.5678901}}}});
    if (minute % 1440 == 0) history = *LagHistory::parse(history.text());
  }
  EXPECT_EQ(LagHistory::parse(history.text())->samples().size(), 24u * 60u + 1u);
  EXPECT_LT(history.text().size(), 100'000u);
}

TEST(LagHistory, OfATornOrForeignFileIsNone) {
  const auto text = history_of(3).text();
  for (std::size_t size = 0; size + 1 < text.size(); ++size)  // without the line's end it is whole
    ASSERT_FALSE(LagHistory::parse(text.substr(0, size))) << size;
  std::string many = R"({"version":1,"nodes":[],"samples":[[0])";
  for (int minute = 1; minute <= 24 * 60 + 2; ++minute) many += ",[" + std::to_string(minute) + "]";
  const std::vector<std::string> foreigners{
      "[]",
      "{}",
      many + "]}",
      R"({"version":2,"nodes":[],"samples":[]})",
      R"({"version":1,"nodes":"replica","samples":[]})",
      R"({"version":1,"nodes":["a"],"samples":{}})",
      R"({"version":1,"nodes":["a"],"samples":[7]})",
      R"({"version":1,"nodes":["a"],"samples":[[]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1,[1]]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1,["x",1]]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1,[1,1e999]]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1,7]]})",
      R"({"version":1,"nodes":["a"],"samples":[[1,[1,1]],[1,[1,1]]]})"};
  for (const auto& foreign : foreigners) EXPECT_FALSE(LagHistory::parse(foreign)) << foreign;
  EXPECT_TRUE(LagHistory::parse(R"({"version":1,"nodes":["a"],"samples":[[1,[1,1]],[2,null]]})"));
}

}  // namespace
}  // namespace pgrevive::console
