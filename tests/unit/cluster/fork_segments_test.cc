#include "cluster/fork_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

std::vector<std::string> names(const char* history) {
  std::vector<std::string> found;
  for (const auto& segment :
       fork_segments(postgres::TimelineHistory::parse(postgres::Timeline(9), history), 1u << 20))
    found.push_back(segment.name());
  return found;
}

TEST(ForkSegments, AreThoseInWhichASourceHadFailedOverBefore) {
  EXPECT_THAT(names("1\t0/E07ED8\n2\t0/11000D0\n4\t0/11006F0\n"),
              testing::ElementsAre("000000040000000000000011"));
  EXPECT_THAT(names("1\t0/1100010\n2\t0/11000D0\n4\t0/11006F0\n"),
              testing::ElementsAre("000000020000000000000011", "000000040000000000000011"));
}

TEST(ForkSegments, AreNoneWhereTheForkIsAlone) {
  EXPECT_THAT(names(""), testing::IsEmpty());
  EXPECT_THAT(names("1\t0/1100010\n"), testing::IsEmpty());
  EXPECT_THAT(names("1\t0/10FFFF8\n2\t0/1100000\n"), testing::IsEmpty());
}

}  // namespace
}  // namespace pgrevive::cluster
