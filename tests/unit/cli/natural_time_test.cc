#include "cli/natural_time.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::cli {
namespace {

using test::throws;

// 2026-11-25 01:30:00 UTC, so the day before in São Paulo.
const auto kNow = std::chrono::system_clock::from_time_t(1795570200);

class NaturalTime : public ::testing::Test {
 protected:
  void SetUp() override { setenv("TZ", "America/Sao_Paulo", 1); }
  void TearDown() override { unsetenv("TZ"); }
};

std::string time_of(const std::string& text) { return natural_time(text, kNow); }

TEST_F(NaturalTime, PlainOnesComeBackAsTheyAre) {
  for (const char* text : {"2026-11-22 14:05:00+00", "2026-11-22 14:05", "2026-11-22T14:05:00Z",
                           "2026-11-22 14:05:00.25-0330"})
    EXPECT_EQ(time_of(text), text);
}

TEST_F(NaturalTime, ZonesOfTheDatabase) {
  EXPECT_EQ(time_of("2026-11-22 14:05 America/Sao_Paulo"), "2026-11-22 17:05:00+00");
  EXPECT_EQ(time_of("2026-07-01 14:05:06.5 Europe/Berlin"), "2026-07-01 12:05:06.500000+00");
  EXPECT_EQ(time_of("2026-01-01 Asia/Kolkata"), "2025-12-31 18:30:00+00");
}

TEST_F(NaturalTime, DaysInWords) {
  EXPECT_EQ(time_of("today 14:05"), "2026-11-24 17:05:00+00");  // of the host's zone
  EXPECT_EQ(time_of("hoje 14:05 UTC"), "2026-11-25 14:05:00+00");
  EXPECT_EQ(time_of("Yesterday 23:00 Europe/Berlin"), "2026-11-24 22:00:00+00");
  EXPECT_EQ(time_of("ontem"), "2026-11-23 03:00:00+00");
  EXPECT_EQ(time_of("today 14:05-03"), "2026-11-24 14:05-03");
  EXPECT_EQ(time_of("yesterday 14:05 +09:00"), "2026-11-24 14:05 +09:00");
}

TEST_F(NaturalTime, OfAZoneThatAnImageIsNotTold) {
  setenv("PGREVIVE_ENVIRONMENT", "1", 1);
  EXPECT_EQ(time_of("today 14:05"), "2026-11-24 17:05:00+00");
  unsetenv("TZ");
  EXPECT_THROW(time_of("today 14:05"), Error);
  EXPECT_EQ(time_of("2026-11-22 14:05 America/Sao_Paulo"), "2026-11-22 17:05:00+00");
  EXPECT_EQ(time_of("10 minutes ago"), "2026-11-25 01:20:00+00");
  unsetenv("PGREVIVE_ENVIRONMENT");
}

TEST_F(NaturalTime, BeforeNow) {
  EXPECT_EQ(time_of("now"), "2026-11-25 01:30:00+00");
  EXPECT_EQ(time_of("agora"), "2026-11-25 01:30:00+00");
  EXPECT_EQ(time_of("10 minutes ago"), "2026-11-25 01:20:00+00");
  EXPECT_EQ(time_of("2h ago"), "2026-11-24 23:30:00+00");
  EXPECT_EQ(time_of("10 minutos atrás"), "2026-11-25 01:20:00+00");
  EXPECT_EQ(time_of("há 3 dias"), "2026-11-22 01:30:00+00");
}

TEST_F(NaturalTime, BeforeAnotherMoment) {
  EXPECT_EQ(time_of("10 minutes before 2026-11-22 14:05 America/Sao_Paulo"),
            "2026-11-22 16:55:00+00");
  EXPECT_EQ(time_of("90 s before 2026-11-22 14:05:00+00"), "2026-11-22 14:03:30+00");
  // A transaction ends at a microsecond.
  EXPECT_EQ(time_of("10 minutes before 2026-11-22 14:05:00.250001+00"),
            "2026-11-22 13:55:00.250001+00");
  EXPECT_EQ(time_of("1 hora antes de ontem 14:05"), "2026-11-23 16:05:00+00");
}

TEST_F(NaturalTime, RefusesWhatIsNoTimeOrNoOneTime) {
  const auto refused = [](const std::string& text, const std::string& why) {
    EXPECT_THAT([&] { time_of(text); }, throws(ErrorKind::usage, why)) << text;
  };
  refused("soon", "'soon' is not a time");
  refused("10 minutes", "is not a time");
  refused("10 parsecs ago", "is not a time");
  refused("10 minutes before", "is not a time");
  refused("2026-11-22 14:05 Mars/Olympus", "no time zone 'Mars/Olympus'");
  refused("2026-02-30 14:05 Europe/Berlin", "there is no day");
  refused("2026-11-22 25:05 Europe/Berlin", "is not a time");
  refused("2026-03-29 02:30 Europe/Berlin", "skipped");
  refused("2026-10-25 02:30 Europe/Berlin", "twice");
  refused("2026-10-25 02:30 Europe/Berlin", "+02 for the first time");
  // And so where the zone is this host's, or an offset.
  refused("2026-02-31 12:00", "there is no day 2026-02-31");
  refused("2026-02-31 12:00+00", "there is no day 2026-02-31");
  refused("10 minutes before 2026-02-31 12:00-03", "there is no day 2026-02-31");
  refused("2018-02-17 23:30", "the clocks of this host showed 2018-02-17 23:30 twice");
  refused("10 minutes before 2018-02-17 23:30", "twice");
  refused("2018-11-04 00:30", "the clocks of this host skipped 2018-11-04 00:30");
}

TEST_F(NaturalTime, RefusesWhatNoClockHereHolds) {
  for (const auto* text :
       {"0262-11-22 14:05 America/Sao_Paulo", "1969-12-31 14:05 Europe/Berlin",
        "1970-01-01 00:05 Europe/Berlin", "2200-01-01 00:00 Europe/London", "9999-01-01 00:00",
        "10 minutes before 2200-01-01 00:00+00", "10 minutes before 1970-01-01 00:05+00"})
    EXPECT_THAT([&] { time_of(text); }, throws(ErrorKind::usage, "between 1970 and 2199")) << text;
  for (const auto* text : {"999999999 days ago", "999999999 dias antes de 2026-11-22 14:05"})
    EXPECT_THAT([&] { time_of(text); }, throws(ErrorKind::usage, "' is a time before 1970"))
        << text;
}

TEST_F(NaturalTime, RelativeOnesAreToldApart) {
  for (const char* text : {"now", "10 minutes ago", "há 3 dias", "today 14:05", "1 h before ontem"})
    EXPECT_TRUE(is_relative_time(text)) << text;
  for (const char* text : {"2026-11-22 14:05", "2026-11-22 14:05 Europe/Berlin",
                           "10 minutes before 2026-11-22 14:05", "soon"})
    EXPECT_FALSE(is_relative_time(text)) << text;
}

}  // namespace
}  // namespace pgrevive::cli
