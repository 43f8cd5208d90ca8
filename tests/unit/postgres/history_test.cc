#include "postgres/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::postgres {
namespace {

TimelineHistory parse(std::uint32_t timeline, std::string_view text) {
  return TimelineHistory::parse(Timeline(timeline), text);
}

TEST(TimelineHistory, ListsAncestorsOldestFirst) {
  const auto history = parse(5,
                             "1\t0/3000000\tno recovery target specified\n"
                             "\n"
                             "# a person wrote this\n"
                             "3\t1/A0\tbefore 2026-11-22 14:05:09+00\n");

  EXPECT_THAT(history.ancestors,
              testing::ElementsAre(TimelineHistory::Ancestor{Timeline(1), Lsn(0x3000000),
                                                             "no recovery target specified"},
                                   TimelineHistory::Ancestor{Timeline(3), Lsn::parse("1/A0"),
                                                             "before 2026-11-22 14:05:09+00"}));
  EXPECT_EQ(history.timeline, Timeline(5));
}

TEST(TimelineHistory, AllowsBlanksAroundAndNoReason) {
  const auto history = parse(2, "  1   0/3000000  \r\n");

  ASSERT_EQ(history.ancestors.size(), 1u);
  EXPECT_EQ(history.ancestors[0].ended, Lsn(0x3000000));
  EXPECT_EQ(history.ancestors[0].reason, "");
}

TEST(TimelineHistory, PassesAnAncestorUpToWhereItWasLeft) {
  const auto history = parse(3, "1\t0/3000000\t\n2\t0/5000000\t\n");

  EXPECT_TRUE(history.passes(Timeline(1), Lsn(0x3000000)));
  EXPECT_FALSE(history.passes(Timeline(1), Lsn(0x3000001)));
  EXPECT_TRUE(history.passes(Timeline(2), Lsn(0x5000000)));
  EXPECT_TRUE(history.passes(Timeline(3), Lsn(0xFFFFFFFF)));
  EXPECT_FALSE(history.passes(Timeline(4), Lsn(0)));
  EXPECT_EQ(history.left(Timeline(2)), Lsn(0x5000000));
  EXPECT_EQ(history.left(Timeline(3)), std::nullopt);
  EXPECT_EQ(history.left(Timeline(4)), std::nullopt);
}

// As PostgreSQL 15 wrote it: a backup of timeline 1, recovered along the latest timeline (2) to a
// restore point that lies before 2 began.
TEST(TimelineHistory, LeavesAnAncestorAtAnEarlierSwitchOfALaterOne) {
  const auto history = parse(3,
                             "1\t0/F1F280\tat restore point \"late\"\n"
                             "\n"
                             "2\t0/80FB60\tat restore point \"early\"\n");

  EXPECT_EQ(history.left(Timeline(1)), Lsn(0x80FB60));
  EXPECT_TRUE(history.passes(Timeline(1), Lsn(0x80FB60)));
  EXPECT_FALSE(history.passes(Timeline(1), Lsn(0x80FB61)));
}

struct Line {
  const char* name;
  const char* written;
  const char* straight;
};

class HistoryOfALine : public testing::TestWithParam<Line> {};

TEST_P(HistoryOfALine, IsStraightWithoutWhatItNeverTouched) {
  const auto history = parse(6, GetParam().written);
  const auto straight = history.straight();

  EXPECT_EQ(straight.text(), GetParam().straight);
  EXPECT_EQ(straight.straight(), straight);
  EXPECT_EQ(parse(6, straight.text()), straight);
  for (const auto& ancestor : straight.ancestors)
    EXPECT_EQ(history.left(ancestor.timeline), straight.left(ancestor.timeline));
}

INSTANTIATE_TEST_SUITE_P(
    All, HistoryOfALine,
    testing::Values(
        Line{"first", "", ""},
        Line{"rising", "1\t0/20\ta\n2\t0/30\tb\n", "1\t0/20\ta\n2\t0/30\tb\n"},
        // A timeline that was promoted again at once.
        Line{"standing", "1\t0/20\ta\n2\t0/20\tb\n5\t0/30\tc\n",
             "1\t0/20\ta\n2\t0/20\tb\n5\t0/30\tc\n"},
        // Recovery on the way to 5 stopped on 1, or on 2, or exactly where 2 was left.
        Line{"on_1", "1\t0/20\ta\n2\t0/30\tb\n4\t0/40\tc\n5\t0/10\ttime\n", "1\t0/10\ttime\n"},
        Line{"on_2", "1\t0/20\ta\n2\t0/30\tb\n4\t0/40\tc\n5\t0/25\ttime\n",
             "1\t0/20\ta\n2\t0/25\ttime\n"},
        Line{"where_2_was_left", "1\t0/20\ta\n2\t0/30\tb\n4\t0/40\tc\n5\t0/30\ttime\n",
             "1\t0/20\ta\n2\t0/30\tb\n"},
        Line{"where_5_begins", "1\t0/20\ta\n4\t0/40\tc\n5\t0/40\ttime\n",
             "1\t0/20\ta\n4\t0/40\tc\n5\t0/40\ttime\n"},
        // The source had been recovered like that itself.
        Line{"source", "1\t0/20\ta\n2\t0/10\ttime\n3\t0/40\tb\n", "1\t0/10\ttime\n3\t0/40\tb\n"},
        Line{"twice", "1\t0/30\ta\n2\t0/20\ttime\n3\t0/40\tb\n4\t0/10\tagain\n",
             "1\t0/10\tagain\n"}),
    [](const auto& test) { return test.param.name; });

TEST(TimelineHistory, IsNamedByItsTimeline) {
  EXPECT_EQ(TimelineHistory::file_name(Timeline(26)), "0000001A.history");
}

struct Malformed {
  const char* name;
  const char* text;
  const char* why;
};

class MalformedHistory : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedHistory, IsRefusedWithItsLine) {
  EXPECT_THAT([] { parse(3, GetParam().text); }, testing::ThrowsMessage<Error>(testing::AllOf(
                                                     testing::HasSubstr("00000003.history, line"),
                                                     testing::HasSubstr(GetParam().why))));
}

INSTANTIATE_TEST_SUITE_P(All, MalformedHistory,
                         testing::Values(Malformed{"word", "one\t0/1\t", "line 1: no timeline"},
                                         Malformed{"zero", "0\t0/1\t", "no timeline"},
                                         Malformed{"huge", "4294967297\t0/1\t", "no timeline"},
                                         Malformed{"no_lsn", "1\t0/1\n2\n",
                                                   "line 2: no switch point"},
                                         Malformed{"bad_lsn", "1\t0-1\t", "no switch point"},
                                         Malformed{"falling", "2\t0/1\n1\t0/2\n", "do not rise"},
                                         Malformed{"twice", "1\t0/1\n1\t0/2\n", "do not rise"},
                                         Malformed{"itself", "1\t0/1\n3\t0/2\n", "not older"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::postgres
