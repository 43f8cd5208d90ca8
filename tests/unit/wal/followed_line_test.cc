#include "wal/followed_line.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::wal {
namespace {

using postgres::Timeline;
using Place = FollowedLine::Place;

constexpr std::uint32_t kSize = 1u << 20;

TEST(FollowedLine, IsToldInWordsAndUnderstood) {
  const auto history =
      postgres::TimelineHistory::parse(Timeline(4), "1\t0/580000\t\n2\t0/A00000\t");
  const auto line = FollowedLine::of(history, Timeline(1), kSize);

  EXPECT_EQ(line.text(), "4:000000010000000000000005,00000002000000000000000A");
  const auto parsed = FollowedLine::parse(line.text());
  EXPECT_EQ(parsed.timeline, line.timeline);
  EXPECT_EQ(parsed.left_in, line.left_in);
  EXPECT_EQ(FollowedLine::of(history, Timeline(2), kSize).text(), "4:00000002000000000000000A");
  EXPECT_EQ(FollowedLine::parse("1").text(), "1");
}

TEST(FollowedLine, IsNothingElse) {
  for (const auto* text : {"", "0", "x", "2:", "2:x", "2:000000010000000000000005,",
                           "2:00000001.history", "4294967296"})
    EXPECT_THROW(FollowedLine::parse(text), Error) << text;
}

TEST(FollowedLine, KnowsWhichSegmentsAreItsOwn) {
  const auto line = FollowedLine::parse("3:000000010000000000000005,00000002000000000000000A");

  EXPECT_EQ(line.place("000000010000000000000004"), Place::on_it);
  EXPECT_EQ(line.place("000000010000000000000005"), Place::left_here);
  EXPECT_EQ(line.place("000000010000000000000006"), Place::behind);
  EXPECT_EQ(line.place("000000020000000000000009"), Place::on_it);
  EXPECT_EQ(line.place("000000030000000000000001"), Place::on_it);
  EXPECT_EQ(line.place("000000040000000000000001"), Place::elsewhere);
}

}  // namespace
}  // namespace pgrevive::wal
