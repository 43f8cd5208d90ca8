#include "cli/value_text.h"

#include <gtest/gtest.h>

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

TEST(ValueText, BooleansHaveTheUsualSpellings) {
  for (const char* yes : {"y", "Yes", "true", "TRUE", "on", "1"})
    EXPECT_EQ(parse_boolean(yes), true) << yes;
  for (const char* no : {"n", "No", "false", "off", "0"}) EXPECT_EQ(parse_boolean(no), false) << no;
  for (const char* bad : {"", "maybe", "2", "tru"}) EXPECT_FALSE(parse_boolean(bad)) << bad;
}

TEST(ValueText, PgBackRestSizesArePowersOfTwo) {
  EXPECT_EQ(parse_backrest_size("123"), 123u);
  EXPECT_EQ(parse_backrest_size("16b"), 16u);
  EXPECT_EQ(parse_backrest_size("1k"), 1024u);
  EXPECT_EQ(parse_backrest_size("128MiB"), 128u << 20);
  EXPECT_EQ(parse_backrest_size("128MB"), 128u << 20);
  EXPECT_EQ(parse_backrest_size("2GiB"), 2ull << 30);
  EXPECT_EQ(parse_backrest_size("1p"), 1ull << 50);
  for (const char* bad : {"", "MiB", "1.5GiB", "1x", "1kk", "-1", "99999999999p"}) {
    EXPECT_FALSE(parse_backrest_size(bad)) << bad;
  }
}

TEST(ValueText, PgBackRestTimesAreSecondsUnlessTheySayOtherwise) {
  EXPECT_EQ(parse_backrest_time("60"), 60'000ms);
  EXPECT_EQ(parse_backrest_time("1.5"), 1500ms);
  EXPECT_EQ(parse_backrest_time("100ms"), 100ms);
  EXPECT_EQ(parse_backrest_time("2m"), 120'000ms);
  EXPECT_EQ(parse_backrest_time("1d"), 86'400'000ms);
  for (const char* bad : {"", "m", "5y", "1.", "1.5m"})
    EXPECT_FALSE(parse_backrest_time(bad)) << bad;
}

TEST(ValueText, PostgresSizesNeedAUnitInPostgresSpelling) {
  for (const char* good : {"256MB", "1GB", "64kB", "8 MB", "2TB"})
    EXPECT_TRUE(is_postgres_size(good)) << good;
  for (const char* bad : {"256", "256mb", "256M", "1.5", "MB", "", "-1MB", "1GBx"}) {
    EXPECT_FALSE(is_postgres_size(bad)) << bad;
  }
}

TEST(ValueText, KnowsWhatAnExampleFileLeavesIn) {
  for (const char* left :
       {"your-bucket", "your_password", "<region>", "changeme", "ChangeMe123", "xxx", "XXXXXXXX",
        "s3.your-region.amazonaws.com", "https://your-endpoint"}) {
    EXPECT_TRUE(is_placeholder(left)) << left;
  }
  for (const char* real : {"backups", "xx", "AKIAXXXX", "honour-your-word",
                           "s3.eu-west-1.amazonaws.com", "<", "a<b>", ""}) {
    EXPECT_FALSE(is_placeholder(real)) << real;
  }
}

TEST(ValueText, NetworksGetTheirLength) {
  EXPECT_EQ(parse_network("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(parse_network("192.168.1.7"), "192.168.1.7/32");
  EXPECT_EQ(parse_network("fd00::/8"), "fd00::/8");
  EXPECT_EQ(parse_network("::1"), "::1/128");
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0/8", "all", "10.0.0.0/", "fd00::/129"}) {
    EXPECT_FALSE(parse_network(bad)) << bad;
  }
}

}  // namespace
}  // namespace pgrevive::cli
