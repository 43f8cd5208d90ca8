#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

TEST(Text, CaseIsOfLettersInAsciiAlone) {
  EXPECT_EQ(lower("Content-TYPE [@Z`{"), "content-type [@z`{");
  EXPECT_EQ(lower("\xC3\x84"), "\xC3\x84");
  EXPECT_TRUE(equal_ignoring_case("Host", "hOST"));
  EXPECT_FALSE(equal_ignoring_case("Host", "Hosts"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));
}

TEST(Trim, TakesSpaceOffBothEnds) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("a"), "a");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split(",a,,b,", ','), ElementsAre("", "a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(ParseUnsigned, TakesDecimalDigitsThatFillTheText) {
  EXPECT_EQ(parse_unsigned("0"), 0u);
  EXPECT_EQ(parse_unsigned("0042"), 42u);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), 18446744073709551615u);
  for (const char* bad : {"", " 1", "1 ", "+1", "-1", "1.0", "0x1", "18446744073709551616", "a"}) {
    EXPECT_EQ(parse_unsigned(bad), std::nullopt) << bad;
  }
}

TEST(FormatBytes, HasThreeDigitsAtMost) {
  const std::pair<std::uint64_t, const char*> table[] = {
      {0, "0 B"},
      {999, "999 B"},
      {1000, "1 kB"},
      {1049, "1.05 kB"},
      {12'700, "12.7 kB"},
      {999'499, "999 kB"},
      {999'500, "1 MB"},
      {1'400'000'000, "1.4 GB"},
      {123'456'789'012, "123 GB"},
      {5'000'000'000'000, "5 TB"},
      {18'446'744'073'709'551'615u, "18.4 EB"},
  };
  for (const auto& [bytes, text] : table) EXPECT_EQ(format_bytes(bytes), text);
}

TEST(FormatDuration, ChoosesTheUnitsByTheLength) {
  const std::pair<std::int64_t, const char*> table[] = {
      {-5, "0.0 s"},
      {0, "0.0 s"},
      {49, "0.0 s"},
      {50, "0.1 s"},
      {3'200, "3.2 s"},
      {59'949, "59.9 s"},
      {59'950, "1 min 00 s"},
      {245'000, "4 min 05 s"},
      {3'599'499, "59 min 59 s"},
      {3'599'500, "1 h 00 min"},
      {7'800'000, "2 h 10 min"},
      {360'000'000, "100 h 00 min"},
  };
  for (const auto& [ms, text] : table) EXPECT_EQ(format_duration(milliseconds(ms)), text) << ms;
}

TEST(FormatTime, IsInUtcAndCutsFractions) {
  using std::chrono::system_clock;
  EXPECT_EQ(format_time(system_clock::from_time_t(1795356309)), "2026-11-22 14:05:09+00");
  EXPECT_EQ(format_time(system_clock::from_time_t(0) + milliseconds(999)),
            "1970-01-01 00:00:00+00");
  EXPECT_EQ(format_time(system_clock::from_time_t(0) - milliseconds(1)), "1969-12-31 23:59:59+00");
}

TEST(Printable, LeavesTextAlone) {
  EXPECT_EQ(printable("plain, with \\ and \"quotes\""), "plain, with \\ and \"quotes\"");
  EXPECT_EQ(printable("São Paulo \xe2\x82\xac \xf0\x9f\x90\x98"),
            "São Paulo \xe2\x82\xac \xf0\x9f\x90\x98");
}

TEST(Printable, ShowsWhatCouldBreakATerminal) {
  const std::pair<std::string, const char*> table[] = {
      {"a\nb\tc", "a\\x0ab\\x09c"},
      {"\x1b[31m", "\\x1b[31m"},
      {std::string("\0", 1), "\\x00"},
      {"\x7f", "\\x7f"},
      {"\xc2\x9b"
       "1m",
       "\\xc2\\x9b1m"},                             // U+009B, which some terminals take for ESC [
      {"\xff", "\\xff"},                            // never in UTF-8
      {"\xc3", "\\xc3"},                            // cut off
      {"\xc3x", "\\xc3x"},                          // not continued
      {"\xc0\xaf", "\\xc0\\xaf"},                   // overlong "/"
      {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          // overlong in three
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          // surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}  // above U+10FFFF
  };
  for (const auto& [text, shown] : table) EXPECT_EQ(printable(text), shown);
}

TEST(Printable, IsCutBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdef", 5), "abcde...");
  EXPECT_EQ(printable("ab\xe2\x82\xac"
                      "cd",
                      4),
            "ab...");
  EXPECT_EQ(printable("a\n", 3), "a...");
}

TEST(IsPlainPath, KeepsInsideOfTheDirectoryItIsJoinedTo) {
  using namespace std::string_view_literals;
  for (const auto good : {"a"sv, "a/b/c"sv, "..a/b."sv, " "sv, "[x"sv, "..."sv}) {
    EXPECT_TRUE(is_plain_path(good)) << good;
  }
  for (const auto bad : {""sv, "/"sv, "/a"sv, "a/"sv, "a//b"sv, "."sv, ".."sv, "a/."sv, "a/../b"sv,
                         "../a"sv, "a\0b"sv}) {
    EXPECT_FALSE(is_plain_path(bad)) << printable(bad);
  }
}

TEST(Closest, FindsASlipOfTheFinger) {
  const std::vector<std::string> known = {"S3_BUCKET", "S3_REGION", "POSTGRES_DB", "status",
                                          "start",     "stop",      "port"};
  const std::pair<const char*, const char*> table[] = {
      {"S3_BUKET", "S3_BUCKET"},  {"s3_bucket", "S3_BUCKET"},
      {"S3_REGOIN", "S3_REGION"}, {"POSTGRESDB", "POSTGRES_DB"},
      {"statsu", "status"},       {"strat", "start"},
      {"prot", "port"},           {"stop", "stop"},
  };
  for (const auto& [word, meant] : table) EXPECT_EQ(closest(word, known), meant) << word;
}

TEST(Closest, FindsNothingInAnotherWord) {
  const std::vector<std::string> known = {"status", "start", "stop", "port", "x"};
  for (const char* word : {"", "y", "restore", "cleanup", "st", "completely-different"}) {
    EXPECT_EQ(closest(word, known), std::nullopt) << word;
  }
  EXPECT_EQ(closest("start", {}), std::nullopt);
}

}  // namespace
}  // namespace pgrevive
