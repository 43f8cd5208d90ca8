#include "cluster/lines_beside.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;

constexpr std::uint32_t kSize = 1u << 20;

TimelineHistory line(std::uint32_t timeline, std::string_view text = {}) {
  return TimelineHistory::parse(Timeline(timeline), text);
}

TEST(Parting, IsWhereTheFirstOfBothLeft) {
  const auto two = line(2, "1\t0/500000\t");
  const auto three = line(3, "1\t0/500000\t\n2\t0/700000\t");
  const auto four = line(4, "1\t0/300000\t");
  const auto at = [](const auto& one, const auto& other, std::uint32_t begin = 1) {
    return parting(one, other, Timeline(begin)).text();
  };
  EXPECT_EQ(at(two, line(1)), "0/500000");
  EXPECT_EQ(at(three, two), "0/700000");
  EXPECT_EQ(at(two, three), "0/700000");
  EXPECT_EQ(at(three, four), "0/300000");
  EXPECT_EQ(at(line(5, "1\t0/500000\t"), two), "0/500000");
  // From a backup on 2 nobody sees what was before.
  EXPECT_EQ(at(three, line(2), 2), "0/700000");
  EXPECT_EQ(at(two, two), "FFFFFFFF/FFFFFFFF");
}

TEST(LinesBeside, AreThoseThatWentOnBehindTheParting) {
  repository::RecoveryPoints points;
  const auto reaches = [&](std::uint32_t timeline, std::uint64_t last) {
    const postgres::WalSegment segment(Timeline(timeline), last, kSize);
    points.lines.push_back(
        {.timeline = Timeline(timeline), .last_segment = segment.name(), .end = segment.end()});
  };
  reaches(1, 4);
  reaches(2, 9);
  const auto two = line(2, "1\t0/580000\t");
  const repository::ArchiveContents contents{
      .segment_size = kSize, .segments = {}, .histories = {{Timeline(2), two}}};
  const auto beside = [&] { return lines_beside(two, Timeline(1), points, contents); };

  EXPECT_THAT(beside(), testing::IsEmpty());
  points.lines.clear();
  reaches(1, 5);
  reaches(2, 9);
  ASSERT_EQ(beside().size(), 1u);
  EXPECT_FALSE(beside()[0].went_on) << "the segment in which it was left";
  points.lines.clear();
  reaches(1, 6);
  reaches(2, 9);
  ASSERT_EQ(beside().size(), 1u);
  EXPECT_TRUE(beside()[0].went_on);
  EXPECT_EQ(beside()[0].parting.text(), "0/580000");
  EXPECT_EQ(beside_text(beside()[0], Timeline(2)),
            "timeline 1 goes on beside timeline 2 from 0/580000 to 0/700000");
  auto told = beside()[0];
  told.newest = 0;
  EXPECT_EQ(beside_text(told, Timeline(2)),
            "timeline 1 goes on beside timeline 2 from 0/580000 to 0/700000, newest transaction "
            "1970-01-01 00:00:00+00");
}

}  // namespace
}  // namespace pgrevive::cluster
