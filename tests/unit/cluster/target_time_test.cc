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

TEST(TargetTime, WithoutAZoneIsRefusedInAnImageThatIsToldNone) {
  ::setenv("PGREVIVE_ENVIRONMENT", "1", 1);
  ::setenv("TZ", "", 1);

  EXPECT_THROW(parse_target_time("2026-11-22 11:05:00"), Error);
  EXPECT_EQ(parse_target_time("2026-11-22 11:05:00-03"), 1795356300);
  ::setenv("TZ", "America/Sao_Paulo", 1);
  EXPECT_EQ(parse_target_time("2026-11-22 11:05:00"), 1795356300);

  ::unsetenv("PGREVIVE_ENVIRONMENT");
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

TEST(TargetTime, OfADayThatNoCalendarHasIsRefused) {
  for (const auto* text : {"2026-02-29 12:00:00+00", "2026-02-31 12:00", "2026-04-31 00:00:00-03"})
    EXPECT_THAT([&] { with_zone(text); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("there is no day 2026-0")))
        << text;
  EXPECT_EQ(parse_target_time("2024-02-29 00:00:00+00"), 1709164800);
  EXPECT_EQ(parse_target_time("2016-12-31 23:59:60+00"), 1483228800) << "a leap second";
}

TEST(TargetTime, OfAYearThatNoClockHereHoldsIsRefused) {
  for (const auto* text : {"0262-11-22 14:05:00+00", "1969-12-31 23:59:59+00", "2200-01-01 00:00"})
    EXPECT_THAT([&] { parse_target_microseconds(text); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("between 1970 and 2199")))
        << text;
  EXPECT_EQ(parse_target_time("2199-12-31 23:59:59+00"), 7258118399);
}

TEST(TargetTime, ThatIsNoneIsShownAsItCanBe) {
  EXPECT_THAT([] { parse_target_time("\x1b[2Jsoon"); },
              testing::ThrowsMessage<Error>(testing::StartsWith("'\\x1b[2Jsoon' is not")));
}

struct Clocks {
  const char* name;
  const char* zone;
  const char* text;
  const char* said;  // or the time with its zone
};
class HostClocks : public testing::TestWithParam<Clocks> {
 protected:
  void SetUp() override { ::setenv("TZ", GetParam().zone, 1); }
  void TearDown() override {
    ::unsetenv("TZ");
    ::tzset();
  }
};

TEST_P(HostClocks, ShowATimeOnceOrItIsRefused) {
  std::string said;
  try {
    said = with_zone(GetParam().text);
  } catch (const Error& error) {
    said = std::string(error.what()) + "; " + error.hint();
  }
  EXPECT_THAT(said, testing::HasSubstr(GetParam().said));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostClocks,
    testing::Values(
        Clocks{"Twice", "America/Sao_Paulo", "2018-02-17 23:30",
               "showed 2018-02-17 23:30 twice; write the offset behind the time: -02:00 for the "
               "first, -03:00 for the second"},
        Clocks{"BeforeIt", "America/Sao_Paulo", "2018-02-17 22:59:59", "2018-02-18 00:59:59+00"},
        Clocks{"AfterIt", "America/Sao_Paulo", "2018-02-18 00:00", "2018-02-18 03:00:00+00"},
        Clocks{"Skipped", "America/Sao_Paulo", "2018-11-04 00:30", "skipped 2018-11-04 00:30"},
        Clocks{"SkippedByADay", "America/Sao_Paulo", "2018-11-04", "skipped 2018-11-04"},
        Clocks{"AfterTheSkip", "America/Sao_Paulo", "2018-11-04 01:00", "2018-11-04 03:00:00+00"},
        Clocks{"TwiceWithoutSummerTime", "Europe/Moscow", "2014-10-26 01:30", "twice"},
        Clocks{"AZoneOfRules", "CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 02:30", "twice"},
        Clocks{"UtcNever", "UTC", "2026-10-25 02:30", "2026-10-25 02:30:00+00"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace pgrevive::cluster
