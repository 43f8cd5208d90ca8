#include "http/server_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::http {
namespace {

using State = ParsedRequest::State;

TEST(ParseRequest, TakesWhatABrowserSends) {
  const std::string bytes =
      "GET /api/v1/a%20b?from=1%3A2+3&all HTTP/1.1\r\nHost: localhost:8080\r\nX-One:  two \r\n\r\n";

  const auto parsed = parse_request(bytes + "GET /next");

  ASSERT_EQ(parsed.state, State::complete);
  EXPECT_EQ(parsed.consumed, bytes.size());
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/api/v1/a b");
  EXPECT_EQ(parsed.request.parameter("from"), "1:2 3");
  EXPECT_EQ(parsed.request.parameter("all"), "");
  EXPECT_FALSE(parsed.request.parameter("none"));
  EXPECT_EQ(parsed.request.header("x-ONE"), "two");
  EXPECT_FALSE(parsed.request.header("x-two"));
  EXPECT_TRUE(parsed.request.keep_alive);
}

TEST(ParseRequest, WaitsForTheWholeOfIt) {
  const std::string bytes =
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(parse_request(bytes.substr(0, size)).state, State::incomplete) << size;
  const auto parsed = parse_request(bytes);

  ASSERT_EQ(parsed.state, State::complete);
  EXPECT_EQ(parsed.request.body, "hello");
  EXPECT_FALSE(parsed.request.keep_alive);
}

struct Refused {
  const char* name;
  std::string bytes;
  int status;
};
class RefusedRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRequest, IsAnsweredWithItsStatus) {
  const auto parsed =
      parse_request(GetParam().bytes, RequestLimits{.head_bytes = 200, .body_bytes = 10});

  ASSERT_EQ(parsed.state, State::refused);
  EXPECT_EQ(parsed.status, GetParam().status);
  EXPECT_FALSE(parsed.reason.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedRequest,
    testing::Values(
        Refused{"no_line", "hello\r\n\r\n", 400},
        Refused{"whole_url", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Refused{"blank_in_path", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Refused{"bad_percent", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Refused{"nul_in_path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Refused{"http_2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        Refused{"no_host", "GET / HTTP/1.1\r\n\r\n", 400},
        Refused{"two_hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Refused{"folded", "GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", 400},
        Refused{"bare_end", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
        Refused{"blank_before_colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        Refused{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        Refused{"two_lengths",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                400},
        Refused{"no_length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        Refused{"long_body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413},
        Refused{"long_head", "GET / HTTP/1.1\r\nX: " + std::string(300, 'x'), 431}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::http
