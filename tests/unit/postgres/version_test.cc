#include "postgres/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::postgres {
namespace {

TEST(Version, IsOneNumberSinceTenAndTwoBefore) {
  EXPECT_EQ(Version::parse("15").number(), 1500);
  EXPECT_EQ(Version::parse("9.6").number(), 906);
  EXPECT_EQ(Version::parse("9.6").text(), "9.6");
  EXPECT_EQ(Version::of_major(17).text(), "17");
  EXPECT_EQ(Version::of_major(17), Version::parse("17"));
}

TEST(Version, OrdersByAge) {
  EXPECT_LT(Version::parse("9.6"), Version::parse("10"));
  EXPECT_TRUE(Version::parse("12").at_least(12));
  EXPECT_FALSE(Version::parse("9.6").at_least(10));
}

TEST(Version, OfAnotherFormIsRefused) {
  for (const char* text : {"", "9", "9.", ".6", "15.3", "9.6.1", "15beta1", "-15", "9.66", "100"}) {
    EXPECT_THAT([&] { Version::parse(text); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("is not a PostgreSQL version")))
        << text;
  }
}

TEST(Version, IsToldByWhatPgControlSays) {
  EXPECT_EQ(version_of(960, 201608131), Version::parse("9.6"));
  EXPECT_EQ(version_of(1300, 202007201), Version::parse("13"));
  EXPECT_EQ(version_of(1300, 202209061), Version::parse("15"));
  EXPECT_EQ(version_of(1800, 202506291), Version::parse("18"));
}

TEST(Version, OfABetaIsItsMajor) {
  EXPECT_EQ(version_of(1902, 202605131), Version::parse("19"));
  EXPECT_EQ(version_of(1902, 202609999), Version::parse("19"));
  EXPECT_EQ(version_of(1902, 202605130), std::nullopt);
  EXPECT_EQ(version_of(1902, 202700000), std::nullopt);
}

TEST(Version, IsUnknownWhenThePairIs) {
  EXPECT_EQ(version_of(1300, 202209062), std::nullopt);
  EXPECT_EQ(version_of(1201, 202209061), std::nullopt);
  EXPECT_EQ(version_of(0, 0), std::nullopt);
}

TEST(Version, HasAWalPageMagicWhereItIsKnown) {
  EXPECT_EQ(wal_page_magic(Version::parse("15")), 0xD110);
  EXPECT_EQ(wal_page_magic(Version::parse("9.6")), 0xD093);
  EXPECT_EQ(wal_page_magic(Version::of_major(99)), std::nullopt);
}

}  // namespace
}  // namespace pgrevive::postgres
