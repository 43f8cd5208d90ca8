#include "cluster/recovery_way.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;

constexpr std::uint32_t kSize = 1u << 20;

Lsn in_segment(std::uint64_t number) { return Lsn(number * kSize + 4711); }

std::string name(std::uint32_t timeline, std::uint64_t number) {
  return WalSegment(Timeline(timeline), number, kSize).name();
}

repository::Backup backup() {
  repository::Backup made{.label = repository::BackupLabel::parse("20240101-000000F")};
  made.archive_start = name(1, 3);
  made.archive_stop = name(1, 4);
  made.lsn_stop = in_segment(4);
  return made;
}

std::vector<std::string> way_of(const TimelineHistory& history,
                                const repository::ArchiveContents& contents) {
  const auto made = backup();
  const auto points = repository::find_recovery_points(made, {made}, contents);
  std::vector<std::string> names;
  for (const auto& segment : recovery_way(history, made, line_to(history, points, kSize), kSize))
    names.push_back(segment.name());
  return names;
}

TEST(RecoveryWay, ReadsTheSegmentOfASwitchFromTheNewTimeline) {
  const TimelineHistory two{.timeline = Timeline(2),
                            .ancestors = {{Timeline(1), in_segment(5), ""}}};
  const repository::ArchiveContents contents{
      .segment_size = kSize,
      .segments = {{Timeline(1), {3, 4, 5, 6}}, {Timeline(2), {5, 6, 8}}},
      .histories = {{Timeline(2), two}}};
  EXPECT_EQ(way_of(two, contents), (std::vector{name(1, 3), name(1, 4), name(2, 5), name(2, 6)}));
  EXPECT_EQ(way_of({.timeline = Timeline(1), .ancestors = {}}, contents),
            (std::vector{name(1, 3), name(1, 4), name(1, 5), name(1, 6)}));
}

TEST(RecoveryWay, EndsInTheOldTimelinesSegmentWhereTheNewHasNone) {
  const TimelineHistory two{.timeline = Timeline(2),
                            .ancestors = {{Timeline(1), in_segment(5), ""}}};
  const repository::ArchiveContents contents{.segment_size = kSize,
                                             .segments = {{Timeline(1), {3, 4, 5, 6}}},
                                             .histories = {{Timeline(2), two}}};
  const auto made = backup();
  const auto points = repository::find_recovery_points(made, {made}, contents);
  EXPECT_EQ(line_to(two, points, kSize).end, in_segment(5));
  EXPECT_EQ(way_of(two, contents), (std::vector{name(1, 3), name(1, 4), name(1, 5)}));
}

// Timeline 3 left 2 before 2 itself began, as a server does that stops before that point.
TEST(RecoveryWay, NeverTouchesATimelineThatWasLeftBeforeItBegan) {
  const TimelineHistory three{
      .timeline = Timeline(3),
      .ancestors = {{Timeline(1), in_segment(8), ""}, {Timeline(2), in_segment(5), ""}}};
  EXPECT_EQ(segment_on(three, 7, kSize).timeline(), Timeline(3));
  EXPECT_EQ(segment_on(three, 5, kSize).timeline(), Timeline(3));
  EXPECT_EQ(segment_on(three, 4, kSize).timeline(), Timeline(1));
}

}  // namespace
}  // namespace pgrevive::cluster
