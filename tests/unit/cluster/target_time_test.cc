#include "cluster/target_time.h"

#include <cstdlib>
#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

TEST(TargetTime, IsReadInEveryUsualForm) {
  constexpr std::int64_t kTime = 1795356300;  // 2026-11-22 14:05:00 UTC
  for (const auto* text :
       {"2026-11-22 14:05:00+00", "2026-11-22T14:05:00Z", "2026-11-22 11:05:00-03",
        "2026-11-22 19:35:00+0530", "2026-11-22 14:05:00.25 UTC", "2026-11-22 14:05+00:00"})
    EXPECT_EQ(parse_target_time(text), kTime) << text;
}

TEST(TargetTime, WithoutAZoneIsATimeOfThisHost) {
  ::setenv("TZ", "America/Sao_Paulo", 1);
  ::tzset();

  EXPECT_EQ(parse_target_time("2026-11-22 11:05:00"), 1795356300);
  EXPECT_EQ(with_zone("2026-11-22 11:05:00.5"), "2026-11-22 14:05:00.5+00");
  EXPECT_EQ(with_zone("2026-11-22 11:05:00-03"), "2026-11-22 11:05:00-03");

  ::unsetenv("TZ");
  ::tzset();
}

TEST(TargetTime, HasMicroseconds) {
  EXPECT_EQ(parse_target_microseconds("1970-01-01 00:00:01.5+00"), 1'500'000);
  EXPECT_EQ(parse_target_microseconds("1970-01-01 00:00:01.0000019+00"), 1'000'001);
  EXPECT_EQ(parse_target_microseconds("1970-01-01 01:00:00+01"), 0);
}

TEST(TargetTime, ThatIsNoneIsRefused) {
  for (const auto* text : {"", "yesterday", "2026-13-01 00:00:00+00", "2026-11-22 25:00:00",
                           "22/11/2026", "2026-11-22 14:05:00+00 or so"})
    EXPECT_THAT([&] { parse_target_time(text); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("is not a time")))
        << text;
}

}  // namespace
}  // namespace pgrevive::cluster
