#include "cluster/furthest_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;

constexpr std::uint32_t kSize = 16u << 20;

WalSegment segment(std::uint64_t number, std::uint32_t timeline = 1) {
  return {Timeline(timeline), number, kSize};
}

Lsn in(std::uint64_t number) { return Lsn(segment(number).begin().value() + 4711); }

// Timeline 2 left 1 in the midst of segment 5.
TimelineHistory second() {
  return {.timeline = Timeline(2), .ancestors = {{Timeline(1), in(5), "promoted"}}};
}

FurthestEnd seen(const WalSegment& newest,
                 const TimelineHistory& line = {.timeline = Timeline(1), .ancestors = {}}) {
  FurthestEnd furthest;
  furthest.follow(line, kSize);
  furthest.raise(newest);
  return furthest;
}

std::string lost(const FurthestEnd& furthest, const std::optional<WalSegment>& newest, Lsn replayed,
                 std::uint32_t on = 1, const std::string& delivered = "") {
  return furthest.lost(newest, Timeline(on), replayed, delivered, kSize);
}

TEST(FurthestEnd, IsNotForgottenWhenTheArchiveFallsBehindIt) {
  auto furthest = seen(segment(7));
  EXPECT_FALSE(furthest.raise(segment(6)));
  EXPECT_EQ(lost(furthest, segment(6), in(6)), segment(7).name());
  EXPECT_EQ(lost(furthest, {}, in(6)), segment(7).name());
  EXPECT_EQ(lost(furthest, segment(7), in(6)), "");
  EXPECT_TRUE(furthest.raise(segment(8)));
  EXPECT_EQ(lost(furthest, segment(7), in(7)), segment(8).name());
}

TEST(FurthestEnd, IsNoneWhereNothingWasSeen) { EXPECT_EQ(lost({}, {}, in(3)), ""); }

// The one before ends where it begins.
TEST(FurthestEnd, IsNotLostWhereItWasReplayedBeforeItWent) {
  const auto furthest = seen(segment(7));
  EXPECT_EQ(lost(furthest, segment(6), in(7)), "");
  EXPECT_EQ(lost(furthest, segment(6), segment(7).begin()), segment(7).name());
  // It may hold no more than the beginning of a record.
  EXPECT_EQ(lost(furthest, segment(6), in(5), 1, segment(7).name()), "");
  EXPECT_EQ(lost(furthest, segment(6), in(5), 1, segment(6).name()), segment(7).name());
  EXPECT_EQ(lost(furthest, segment(6), in(5), 1, "00000002.history"), segment(7).name());
}

TEST(FurthestEnd, OfATimelineIsLostWhenOnlyTheOneBeforeIsLeft) {
  const auto furthest = seen(segment(5, 2), second());
  // What the old one has of that segment was replayed.
  EXPECT_EQ(lost(furthest, segment(5), in(5), 1, segment(5).name()), segment(5, 2).name());
  EXPECT_EQ(lost(furthest, segment(5, 2), in(5)), "");
  EXPECT_EQ(lost(furthest, segment(5), Lsn(in(5).value() + 100), 2), "");
}

TEST(FurthestEnd, ThatNobodyHadFinishedIsSupersededByWhatFinishesIt) {
  const auto furthest = seen(segment(6));
  EXPECT_EQ(lost(furthest, segment(6, 2), in(5)), "");
}

TEST(FurthestEnd, StaysWhereALineGoesOnThatHasItAndIsForgottenWhereNot) {
  auto furthest = seen(segment(5));
  furthest.follow(second(), kSize);
  EXPECT_EQ(furthest, (FurthestEnd{.line = 2, .segment = segment(5).name()}));

  furthest = seen(segment(6));
  furthest.follow(second(), kSize);
  EXPECT_EQ(furthest, (FurthestEnd{.line = 2, .segment = ""}));

  furthest = seen(segment(6, 3));
  furthest.follow(second(), kSize);
  EXPECT_EQ(furthest.segment, "");
}

TEST(FurthestEnd, IsKeptAsAText) {
  const auto furthest = seen(segment(6, 2), second());
  EXPECT_EQ(furthest.text(), "2:000000020000000000000006");
  for (const auto& each : {furthest, FurthestEnd()})
    EXPECT_EQ(FurthestEnd::parse(each.text()), each);
  EXPECT_EQ(FurthestEnd::parse(""), FurthestEnd());
  for (const char* bad : {"2", "x:000000020000000000000006", ":", "4294967298:"})
    EXPECT_THAT([&] { FurthestEnd::parse(bad); }, test::throws(ErrorKind::corrupt, bad));
  EXPECT_THAT([] { FurthestEnd::parse("\x1b[2J"); }, test::throws(ErrorKind::corrupt, "\\x1b[2J"));
}

}  // namespace
}  // namespace pgrevive::cluster
