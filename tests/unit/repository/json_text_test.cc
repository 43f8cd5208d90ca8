#include "repository/json_text.h"

#include <vector>

#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::repository {
namespace {

using test::throws;

TEST(IsJson, TakesWholeValues) {
  for (const char* text :
       {"1", "-1", "0", "1.5e+3", "true", "false", "null", "\"\"", R"("a\"b\\c\u00e9")", "{}", "[]",
        R"({"a":1,"b":[1,[2,3],{}],"c":null})", R"( { "a" : 1 } )", "\"\x01\""}) {
    EXPECT_TRUE(is_json(text)) << text;
  }
}

TEST(IsJson, RefusesAnythingElse) {
  for (const char* text :
       {"",         " ",        "01",        "1.",          "1e",       "-",
        "tru",      "truex",    "\"",        "\"\\",        R"("\x")",  R"("\u12g4")",
        R"("\u12)", "{",        "}",         "[",           "]",        "[1,]",
        "[1 2]",    R"({"a"})", R"({"a":})", R"({"a":1,})", R"({a:1})", R"({"a":1}x)",
        "1 2",      "'a'"}) {
    EXPECT_FALSE(is_json(text)) << text;
  }
}

TEST(IsJson, RefusesNestingThatWouldExhaustTheStack) {
  EXPECT_TRUE(is_json(std::string(60, '[') + std::string(60, ']')));
  EXPECT_FALSE(is_json(std::string(1'000'000, '[') + std::string(1'000'000, ']')));
}

TEST(JsonReader, ReadsAnObjectMemberByMember) {
  JsonReader json(
      R"({"a":{"x":[1,"]}"]},"b":"text","c":18446744073709551615,"d":false,"e":[1,2]})");
  std::string b;
  std::uint64_t c = 0;
  bool d = true;
  std::vector<std::uint64_t> e;

  json.object([&](std::string_view key) {
    if (key == "b") {
      b = json.string();
    } else if (key == "c") {
      c = json.unsigned_number();
    } else if (key == "d") {
      d = json.boolean();
    } else if (key == "e") {
      json.array([&] { e.push_back(json.unsigned_number()); });
    } else {
      json.skip();
    }
  });
  json.end();

  EXPECT_EQ(b, "text");
  EXPECT_EQ(c, 18446744073709551615u);
  EXPECT_FALSE(d);
  EXPECT_EQ(e, (std::vector<std::uint64_t>{1, 2}));
}

TEST(JsonReader, DecodesEscapes) {
  EXPECT_EQ(JsonReader(R"("\"\\\/\b\f\n\r\t")").string(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(JsonReader(R"("A\u0041\u00fc\u20ac\ud83d\ude00")").string(),
            "AA\u00fc\u20ac\U0001F600");
  EXPECT_EQ(JsonReader(R"("\u0000")").string(), std::string_view("\0", 1));
}

TEST(JsonReader, KeepsAKeyWithEscapesWhileItsValueIsRead) {
  JsonReader json(R"({"a\"b":"c\"d"})");
  json.object([&](std::string_view key) {
    EXPECT_EQ(json.string(), "c\"d");
    EXPECT_EQ(key, "a\"b");
  });
}

TEST(JsonReader, RefusesHalfASurrogatePair) {
  EXPECT_THAT([] { JsonReader(R"("\ud83d")").string(); }, throws(ErrorKind::corrupt, "surrogate"));
  EXPECT_THAT([] { JsonReader(R"("\ud83dx")").string(); }, throws(ErrorKind::corrupt, "surrogate"));
  EXPECT_THAT([] { JsonReader(R"("\ud83d\u0041")").string(); },
              throws(ErrorKind::corrupt, "surrogate"));
  EXPECT_THAT([] { JsonReader(R"("\ude00")").string(); }, throws(ErrorKind::corrupt, "surrogate"));
}

TEST(JsonReader, RefusesNumbersOutOfRange) {
  EXPECT_THAT([] { JsonReader("18446744073709551616").unsigned_number(); },
              throws(ErrorKind::corrupt, "below 2^64"));
  EXPECT_THAT([] { JsonReader("99999999999999999999999").unsigned_number(); },
              throws(ErrorKind::corrupt, "below 2^64"));
  EXPECT_THAT([] { JsonReader("-1").unsigned_number(); }, throws(ErrorKind::corrupt, "whole"));
  EXPECT_THAT([] { JsonReader("1.5").unsigned_number(); }, throws(ErrorKind::corrupt, "whole"));
  EXPECT_THAT([] { JsonReader("1e3").unsigned_number(); }, throws(ErrorKind::corrupt, "whole"));
  EXPECT_THAT([] { JsonReader("\"1\"").unsigned_number(); }, throws(ErrorKind::corrupt, "whole"));
  EXPECT_THAT([] { JsonReader("9223372036854775808").size_number(); },
              throws(ErrorKind::corrupt, "below 2^63"));
  EXPECT_THAT([] { JsonReader("4294967296").small_number(); },
              throws(ErrorKind::corrupt, "below 2^32"));
  EXPECT_EQ(JsonReader("9223372036854775807").size_number(), 9223372036854775807u);
  EXPECT_EQ(JsonReader("-5").signed_number(), -5);
  EXPECT_EQ(JsonReader("7258118399").unix_time(), 7258118399);
  EXPECT_THAT([] { JsonReader("7258118400").unix_time(); },
              throws(ErrorKind::corrupt, "a time before 2200"));
  EXPECT_THAT([] { JsonReader("-1").unix_time(); }, throws(ErrorKind::corrupt, "whole"));
}

TEST(JsonReader, RefusesAValueOfAnotherKind) {
  EXPECT_THAT([] { JsonReader("1").string(); }, throws(ErrorKind::corrupt, "expected a string"));
  EXPECT_THAT([] { JsonReader("\"open").string(); }, throws(ErrorKind::corrupt, "a string"));
  EXPECT_THAT([] { JsonReader("1").boolean(); }, throws(ErrorKind::corrupt, "true or false"));
  EXPECT_THAT([] { JsonReader("[]").object([](auto) {}); }, throws(ErrorKind::corrupt, "object"));
  EXPECT_THAT([] { JsonReader("{}").array([] {}); }, throws(ErrorKind::corrupt, "array"));
  EXPECT_THAT(
      [] {
        JsonReader json("1 2");
        json.skip();
        json.end();
      },
      throws(ErrorKind::corrupt, "end of the value"));
}

}  // namespace
}  // namespace pgrevive::repository
