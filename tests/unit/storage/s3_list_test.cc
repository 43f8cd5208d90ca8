#include <gmock/gmock.h>

#include "storage/s3/list.h"
#include "support/throws.h"

namespace pgrevive::storage::s3 {
namespace {

using test::throws;

std::string page(const std::string& inside) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
         inside + "</ListBucketResult>";
}

const std::string kLast = "<IsTruncated>false</IsTruncated>";

TEST(ParseList, GivesObjectsAndDirectories) {
  const auto list = parse_list(
      page("<Name>b</Name><Prefix>p/</Prefix><KeyCount>2</KeyCount>" + kLast +
           "<Contents><Key>p/a &amp; b</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"
           "<ETag>\"x\"</ETag><Size>5000000000</Size></Contents>"
           "<CommonPrefixes><Prefix>p/dir/</Prefix></CommonPrefixes>"
           "<CommonPrefixes><Prefix>p/dir2/</Prefix></CommonPrefixes>"),
      "p/");

  ASSERT_EQ(list.entries.size(), 3U);
  EXPECT_EQ(list.entries[0].name, "a & b");
  EXPECT_EQ(list.entries[0].size, 5'000'000'000U);
  EXPECT_EQ(list.entries[0].modified, 1'369'353'600);
  EXPECT_FALSE(list.entries[0].directory);
  EXPECT_EQ(list.entries[1].name, "dir");
  EXPECT_TRUE(list.entries[1].directory);
  EXPECT_EQ(list.entries[2].name, "dir2");
  EXPECT_EQ(list.continuation_token, "");
}

TEST(ParseList, TakesATimeThatIsNoneForUnknown) {
  for (const char* time : {"", "yesterday", "2013-13-24T00:00:00Z", "2013-05-24 00:00:00",
                           "2013-05-24T", "2013-05-24Txx:00:00Z", "2200-01-01T00:00:00.000Z",
                           "1969-12-31T23:59:59.000Z"}) {
    const auto list = parse_list(page(kLast + "<Contents><Key>a</Key><LastModified>" + time +
                                      "</LastModified><Size>1</Size></Contents>"),
                                 "");
    EXPECT_EQ(list.entries.at(0).modified, 0) << time;
  }
}

TEST(ParseList, GivesTheTokenOfTheNextPage) {
  EXPECT_EQ(parse_list(page("<IsTruncated>true</IsTruncated>"
                            "<NextContinuationToken>1/x==</NextContinuationToken>"),
                       "")
                .continuation_token,
            "1/x==");
}

TEST(ParseList, DecodesKeysOnlyIfTheServerEncodedThem) {
  const std::string entry = "<Contents><Key>p/a%2Bb+c</Key><Size>1</Size></Contents>";

  const auto encoded = parse_list(page(kLast + "<EncodingType>url</EncodingType>" + entry), "p/");
  const auto plain = parse_list(page(kLast + entry), "p/");

  EXPECT_EQ(encoded.entries.at(0).name, "a+b c");
  EXPECT_EQ(plain.entries.at(0).name, "a%2Bb+c");
}

TEST(ParseList, SkipsTheObjectThatStandsForTheDirectory) {
  EXPECT_TRUE(parse_list(page(kLast + "<Contents><Key>p/</Key><Size>0</Size></Contents>"), "p/")
                  .entries.empty());
}

TEST(ParseList, KeepsANameThatIsASpace) {
  EXPECT_EQ(parse_list(page(kLast + "<Contents><Key> </Key><Size>0</Size></Contents>"), "")
                .entries.at(0)
                .name,
            " ");
}

struct BadList {
  const char* name;
  std::string xml;
  const char* why;
};

class NotAWholeList : public testing::TestWithParam<BadList> {};

TEST_P(NotAWholeList, IsRefused) {
  EXPECT_THAT([] { parse_list(GetParam().xml, "p/"); }, throws(ErrorKind::corrupt, GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    All, NotAWholeList,
    testing::Values(
        BadList{"empty", "", "not a whole S3 list"},
        BadList{"html", "<html><body>Sign in</body></html>", "<html>"},
        BadList{"cut",
                page(kLast + "<Contents><Key>p/a</Key><Size>1</Size></Contents>").substr(0, 180),
                "at byte"},
        BadList{"cut_after_entry",
                "<ListBucketResult><IsTruncated>false</IsTruncated>"
                "<Contents><Key>p/a</Key><Size>1</Size></Contents>",
                "at byte"},
        BadList{"two_roots", page(kLast) + page(kLast), "follows"},
        BadList{"truncated_unsaid", page(""), "IsTruncated"},
        BadList{"truncated_odd", page("<IsTruncated>maybe</IsTruncated>"), "maybe"},
        BadList{"no_token", page("<IsTruncated>true</IsTruncated>"), "NextContinuationToken"},
        BadList{"empty_token", page("<IsTruncated>true</IsTruncated><NextContinuationToken/>"),
                "where"},
        BadList{"no_key", page(kLast + "<Contents><Size>1</Size></Contents>"), "no Key"},
        BadList{"no_size", page(kLast + "<Contents><Key>p/a</Key></Contents>"), "no Size"},
        BadList{"odd_size", page(kLast + "<Contents><Key>p/a</Key><Size>-1</Size></Contents>"),
                "-1"},
        BadList{"elsewhere", page(kLast + "<Contents><Key>q/a</Key><Size>1</Size></Contents>"),
                "below"},
        BadList{"deeper", page(kLast + "<Contents><Key>p/a/b</Key><Size>1</Size></Contents>"),
                "deeper"},
        BadList{"prefix_without_slash",
                page(kLast + "<CommonPrefixes><Prefix>p/a</Prefix></CommonPrefixes>"),
                "not a directory"}),
    [](const auto& test) { return test.param.name; });

TEST(ParseList, EntitiesAreNotExpanded) {
  // Ten levels of ten references each would be ten thousand million bytes.
  std::string bomb = "<!DOCTYPE l [<!ENTITY e0 \"xxxxxxxxxx\">";
  for (int i = 1; i < 10; ++i) {
    bomb += "<!ENTITY e" + std::to_string(i) + " \"";
    for (int j = 0; j < 10; ++j) bomb += "&e" + std::to_string(i - 1) + ";";
    bomb += "\">";
  }
  bomb += "]><ListBucketResult>" + kLast + "<Contents><Key>&e9;</Key><Size>1</Size></Contents>" +
          "</ListBucketResult>";

  const auto list = parse_list(bomb, "");

  EXPECT_EQ(list.entries.at(0).name, "&e9;");
}

TEST(ParseList, DeepNestingDoesNotExhaustTheStack) {
  std::string deep = "<ListBucketResult>" + kLast;
  for (int i = 0; i < 1'000'000; ++i) deep += "<a>";

  EXPECT_THAT([&] { parse_list(deep, ""); }, throws(ErrorKind::corrupt));
}

}  // namespace
}  // namespace pgrevive::storage::s3
