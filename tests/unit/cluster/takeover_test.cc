#include "cluster/takeover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using testing::HasSubstr;

const SourceState kBefore = {{1, "000000010000000000000064"}, {2, "000000020000000000000051"}};

TEST(SourceNews, AreNoneWhereNothingCame) {
  EXPECT_EQ(news_of_source(kBefore, kBefore, {}), "");
  EXPECT_EQ(news_of_source({}, {}, {}), "");
}

// The source was recovered to an earlier point before: what it writes lies before what it had.
TEST(SourceNews, AreFoundOnATimelineThatIsBehindAnother) {
  auto now = kBefore;
  now[2] = "000000020000000000000052";

  EXPECT_EQ(news_of_source(kBefore, now, {}),
            "archived 000000020000000000000052 after 000000020000000000000051");
}

TEST(SourceNews, AreATimelineThatWasNotThere) {
  auto now = kBefore;
  now[3] = "";

  EXPECT_THAT(news_of_source(kBefore, now, {}), HasSubstr("archived 00000003.history"));
}

TEST(SourceNews, AreNotWhatTheClusterWroteItselfNorWhatWasExpired) {
  auto now = kBefore;
  now[1] = "";
  now[3] = "000000030000000000000053";

  EXPECT_EQ(news_of_source(kBefore, now, 3), "");
  EXPECT_NE(news_of_source(kBefore, now, {}), "");
}

}  // namespace
}  // namespace pgrevive::cluster
