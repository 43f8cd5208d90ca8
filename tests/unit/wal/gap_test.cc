#include "wal/gap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::wal {
namespace {

using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;
using testing::HasSubstr;
using testing::Optional;

// Segments are 1 MiB here, so segment N begins at N00000: 0/500000 is the beginning of number 5.
constexpr std::uint32_t kSize = 1u << 20;

WalSegment segment(std::uint32_t timeline, std::uint64_t number) {
  return {Timeline(timeline), number, kSize};
}

// An archive in words: what is missing is asked for, what is there is listed.
struct Archive {
  Archive& history(std::uint32_t timeline, std::string_view text) {
    listing.histories.push_back(TimelineHistory::parse(Timeline(timeline), text));
    return *this;
  }
  Archive& holds(std::uint32_t timeline, std::uint64_t number) {
    listing.segments[Timeline(timeline)].push_back(segment(timeline, number));
    return *this;
  }
  std::optional<std::string> gap(std::uint32_t timeline, std::uint64_t number,
                                 bool on_line = false) const {
    return find_gap(segment(timeline, number), listing, on_line);
  }
  Listing listing;
};

TEST(FindGap, FindsNoneAtTheEndOfTheOnlyTimeline) { EXPECT_EQ(Archive().gap(1, 5), std::nullopt); }

TEST(FindGap, FindsOneWhereALaterSegmentIsThere) {
  EXPECT_THAT(Archive().holds(1, 7).holds(1, 8).gap(1, 5),
              Optional(std::string("000000010000000000000005 is missing, though "
                                   "000000010000000000000007 is there")));
}

// The primary was promoted in segment 5; PostgreSQL asks for 5 of timeline 1 only if 5 of timeline
// 2 is not archived yet.
TEST(FindGap, FindsNoneInTheSegmentWhereTheTimelineWasLeft) {
  EXPECT_EQ(Archive().history(2, "1\t0/580000\t").gap(1, 5), std::nullopt);
}

// Segment 4 was streamed to the standby and never archived by the primary that died. No later
// segment of timeline 1 exists, yet timeline 2 was built upon it.
TEST(FindGap, FindsOneBeforeWhereTheTimelineWasLeft) {
  const auto archive = Archive().history(2, "1\t0/580000\t").holds(2, 5);

  EXPECT_THAT(archive.gap(1, 4),
              Optional(HasSubstr("timeline 2 left timeline 1 after it, at 0/580000")));
  EXPECT_TRUE(Archive().history(2, "1\t0/500000\t").gap(1, 4)) << "left exactly at its end";
}

TEST(FindGap, FindsOneBeforeAForkFurtherDownTheLine) {
  EXPECT_TRUE(Archive().history(3, "1\t0/200000\t\n2\t0/780000\t").gap(2, 6));
  EXPECT_EQ(Archive().history(3, "1\t0/200000\t\n2\t0/780000\t").gap(2, 7), std::nullopt);
}

// PostgreSQL before some version asks for every place on the newest timeline first, also for places
// before that one began.
TEST(FindGap, FindsNoneBeforeTheTimelineBegan) {
  const auto archive = Archive().history(2, "1\t0/580000\t").holds(2, 5).holds(2, 6);

  EXPECT_EQ(archive.gap(2, 4), std::nullopt);
}

TEST(FindGap, FindsOneInTheFirstSegmentOfATimelineThatGoesOn) {
  EXPECT_TRUE(Archive().history(2, "1\t0/580000\t").holds(2, 6).gap(2, 5));
}

// The old primary lived on with a hole at 6. Timeline 2, which left it at 0/600000, has not
// archived its first segment yet: PostgreSQL on its way along timeline 2 asks for 6 of timeline 1
// as well.
TEST(FindGap, FindsNoneWhereAFreshlyPromotedTimelineMayBeFollowed) {
  const auto archive = Archive().history(2, "1\t0/600000\t").holds(1, 7);

  EXPECT_EQ(archive.gap(1, 6), std::nullopt);
  EXPECT_TRUE(archive.gap(1, 6, true)) << "it is 1 that is followed";
}

// The same hole, but timeline 2 has archived: PostgreSQL following it would have been given its 6,
// or been stopped at a gap there. So it follows timeline 1, and 7 of timeline 1 is what it loses.
TEST(FindGap, FindsOneInAnOldPrimarysLineWhereTheOtherLineGoesOn) {
  EXPECT_TRUE(Archive().history(2, "1\t0/600000\t").holds(1, 7).holds(2, 6).gap(1, 6));
  EXPECT_TRUE(Archive()
                  .history(2, "1\t0/600000\t")
                  .history(3, "1\t0/600000\t\n2\t0/680000\t")
                  .holds(1, 7)
                  .holds(3, 6)
                  .holds(2, 6)
                  .gap(1, 6));
}

TEST(FindGap, TakesAnEarlierSwitchOfALaterAncestorForWhereATimelineWasLeft) {
  // Timeline 3 left 1 at 0/300000 though its history names 0/900000 first; so it proves nothing of
  // segment 5.
  EXPECT_EQ(Archive().history(3, "1\t0/900000\t\n2\t0/300000\t").gap(1, 5), std::nullopt);
  EXPECT_TRUE(Archive().history(3, "1\t0/900000\t\n2\t0/300000\t").gap(1, 2));
}

}  // namespace
}  // namespace pgrevive::wal
