#include <gmock/gmock.h>

#include "storage/s3/transfer.h"
#include "support/throws.h"

namespace pgrevive::storage::s3 {
namespace {

using test::throws;
using Headers = std::vector<http::Header>;

http::Response head(int status, Headers headers) {
  return {.status = status, .headers = std::move(headers)};
}

TEST(ContentRange, IsReadExactly) {
  const auto range = parse_content_range("bytes 5-9/443");

  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 5U);
  EXPECT_EQ(range->last, 9U);
  EXPECT_EQ(range->total, 443U);
  for (const char* bad : {"", "bytes */443", "bytes 5-9/*", "bytes 5-9", "items 5-9/443",
                          "bytes 9-5/443", "bytes 5-443/443", "bytes 5-9/443 ", "bytes -9/443"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
}

TEST(Transfer, AWholeObjectIsAskedForWithoutARange) {
  Transfer transfer("s3://b/k", std::nullopt);

  EXPECT_EQ(transfer.headers(), Headers{});
  transfer.begin(head(200, {{"Content-Length", "5"}}));
  transfer.advance(5);
  EXPECT_TRUE(transfer.complete());
}

TEST(Transfer, ResumesWhereItStoppedAndOnlyTheSameObject) {
  Transfer transfer("s3://b/k", std::nullopt);
  transfer.begin(head(200, {{"Content-Length", "10"}, {"ETag", "\"v1\""}}));
  transfer.advance(4);

  EXPECT_FALSE(transfer.complete());
  EXPECT_EQ(transfer.headers(), (Headers{{"Range", "bytes=4-9"}, {"If-Match", "\"v1\""}}));
  transfer.begin(head(206, {{"Content-Range", "bytes 4-9/10"}, {"Content-Length", "6"}}));
  transfer.advance(6);
  EXPECT_TRUE(transfer.complete());
}

TEST(Transfer, ResumesARange) {
  Transfer transfer("s3://b/k", Range{.offset = 100, .length = 10});
  EXPECT_EQ(transfer.headers(), (Headers{{"Range", "bytes=100-109"}}));
  transfer.begin(head(206, {{"Content-Range", "bytes 100-109/1000"}, {"ETag", "W/\"weak\""}}));
  transfer.advance(3);

  // A weak tag never matches.
  EXPECT_EQ(transfer.headers(), (Headers{{"Range", "bytes=103-109"}}));
}

TEST(Transfer, AnAnswerOfWhichNothingArrivedBindsNothing) {
  Transfer transfer("s3://b/k", std::nullopt);
  transfer.begin(head(200, {{"Content-Length", "10"}, {"ETag", "\"v1\""}}));

  EXPECT_EQ(transfer.headers(), Headers{});
  transfer.begin(head(200, {{"Content-Length", "7"}, {"ETag", "\"v2\""}}));
  transfer.advance(7);
  EXPECT_TRUE(transfer.complete());
}

TEST(Transfer, AReplacedObjectIsNoticedWithoutIfMatch) {
  Transfer transfer("s3://b/k", std::nullopt);
  transfer.begin(head(200, {{"Content-Length", "10"}, {"ETag", "\"v1\""}}));
  transfer.advance(4);

  EXPECT_THAT(
      [&] {
        transfer.begin(head(206, {{"Content-Range", "bytes 4-9/10"}, {"ETag", "\"v2\""}}));
      },
      throws(ErrorKind::corrupt, "s3://b/k was replaced"));
}

TEST(Transfer, AReplacedObjectIsNoticedByItsSizeWhereThereAreNoTags) {
  Transfer transfer("s3://b/k", Range{.offset = 0, .length = 5});
  transfer.begin(head(206, {{"Content-Range", "bytes 0-4/10"}}));
  transfer.advance(2);

  EXPECT_THAT(
      [&] {
        transfer.begin(head(206, {{"Content-Range", "bytes 2-4/11"}}));
      },
      throws(ErrorKind::corrupt, "bytes 2-4/11"));
}

TEST(Transfer, AWholeObjectInChunksIsAllThatComes) {
  Transfer transfer("s3://b/k", std::nullopt);
  transfer.begin(head(200, {{"Transfer-Encoding", "chunked"}}));
  transfer.advance(4);

  EXPECT_TRUE(transfer.complete());
  EXPECT_EQ(transfer.headers(), (Headers{{"Range", "bytes=4-"}}));
  transfer.begin(head(206, {{"Content-Range", "bytes 4-9/10"}}));
  EXPECT_FALSE(transfer.complete());
}

TEST(Transfer, AnAnswerWithoutAnEndIsRefused) {
  Transfer transfer("s3://b/k", std::nullopt);

  EXPECT_THAT([&] { transfer.begin(head(200, {})); },
              throws(ErrorKind::unsupported, "how long it is"));
}

TEST(Transfer, TheWholeObjectMayAnswerARangeThatIsTheWholeObject) {
  Transfer transfer("s3://b/k", Range{.offset = 0, .length = 10});

  transfer.begin(head(200, {{"Content-Length", "10"}}));
  transfer.advance(10);

  EXPECT_TRUE(transfer.complete());
}

TEST(Transfer, MoreThanAnnouncedIsRefused) {
  Transfer transfer("s3://b/k", Range{.offset = 0, .length = 10});
  transfer.begin(head(206, {{"Content-Range", "bytes 0-9/10"}}));
  transfer.advance(9);

  EXPECT_THAT([&] { transfer.advance(2); }, throws(ErrorKind::corrupt, "more bytes"));
}

struct WrongAnswer {
  const char* name;
  http::Response head;
  ErrorKind kind;
  const char* why;
};

class AnswerToARange : public testing::TestWithParam<WrongAnswer> {};

// Bytes 10 to 19 were asked for.
TEST_P(AnswerToARange, IsRefusedIfItIsAnother) {
  Transfer transfer("s3://b/k", Range{.offset = 10, .length = 10});

  EXPECT_THAT([&] { transfer.begin(GetParam().head); }, throws(GetParam().kind, GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    All, AnswerToARange,
    testing::Values(WrongAnswer{"whole", head(200, {{"Content-Length", "30"}}),
                                ErrorKind::unsupported, "ignores Range"},
                    WrongAnswer{"whole_of_equal_length", head(200, {{"Content-Length", "10"}}),
                                ErrorKind::unsupported, "whole object"},
                    WrongAnswer{"no_content_range", head(206, {{"Content-Length", "10"}}),
                                ErrorKind::corrupt, "Content-Range is none"},
                    WrongAnswer{"shifted", head(206, {{"Content-Range", "bytes 11-20/30"}}),
                                ErrorKind::corrupt, "bytes 11-20/30"},
                    WrongAnswer{"longer", head(206, {{"Content-Range", "bytes 10-20/30"}}),
                                ErrorKind::corrupt, "bytes 10-20/30"},
                    WrongAnswer{"shorter", head(206, {{"Content-Range", "bytes 10-18/30"}}),
                                ErrorKind::corrupt, "bytes 10-18/30"},
                    WrongAnswer{"at_the_end", head(206, {{"Content-Range", "bytes 10-14/15"}}),
                                ErrorKind::corrupt, "has 15 bytes and ends before"},
                    WrongAnswer{
                        "other_length",
                        head(206, {{"Content-Range", "bytes 10-19/30"}, {"Content-Length", "9"}}),
                        ErrorKind::corrupt, "bytes 10-19/30"},
                    WrongAnswer{"multipart", head(206, {{"Content-Type", "multipart/byteranges"}}),
                                ErrorKind::corrupt, "none"}),
    [](const auto& test) { return test.param.name; });

TEST(Transfer, APartWhereTheWholeWasAskedForIsRefused) {
  Transfer transfer("s3://b/k", std::nullopt);

  EXPECT_THAT(
      [&] {
        transfer.begin(head(206, {{"Content-Range", "bytes 0-9/10"}}));
      },
      throws(ErrorKind::corrupt));
}

}  // namespace
}  // namespace pgrevive::storage::s3
