#include <gmock/gmock.h>

#include "storage/s3/uri.h"
#include "support/throws.h"

namespace pgrevive::storage::s3 {
namespace {

using test::throws;

TEST(EncodeKey, KeepsSlashesAndUnreservedCharactersOnly) {
  EXPECT_EQ(encode_key("backup/main/latest-1_2.3~"), "backup/main/latest-1_2.3~");
  EXPECT_EQ(encode_key("a b+c=d&e$f"), "a%20b%2Bc%3Dd%26e%24f");
  EXPECT_EQ(encode_key("ünï/日"), "%C3%BCn%C3%AF/%E6%97%A5");
  EXPECT_EQ(encode_key("100%25"), "100%2525");
  EXPECT_EQ(encode_key("a//../b"), "a//../b");
}

TEST(CanonicalQuery, IsSortedAndEncodesSlashes) {
  EXPECT_EQ(canonical_query({{"prefix", "a/b c"}, {"list-type", "2"}, {"delimiter", "/"}}),
            "delimiter=%2F&list-type=2&prefix=a%2Fb%20c");
  EXPECT_EQ(canonical_query({{"lifecycle", ""}}), "lifecycle=");
  EXPECT_EQ(canonical_query({}), "");
}

TEST(Decode, UndoesWhatListsAreEncodedWith) {
  EXPECT_EQ(decode("a+b%2Bc%20d%2fe/f"), "a b+c d/e/f");
  EXPECT_THAT([] { decode("100%"); }, throws(ErrorKind::corrupt, "100%"));
  EXPECT_THAT([] { decode("%zz"); }, throws(ErrorKind::corrupt));
}

struct EndpointCase {
  const char* name;
  const char* text;
  bool tls;
  const char* host;
  int port;
};

class EndpointText : public testing::TestWithParam<EndpointCase> {};

TEST_P(EndpointText, IsRead) {
  const auto& expected = GetParam();

  const Endpoint endpoint = parse_endpoint(expected.text);

  EXPECT_EQ(endpoint.tls, expected.tls);
  EXPECT_EQ(endpoint.host, expected.host);
  EXPECT_EQ(endpoint.port, expected.port);
}

INSTANTIATE_TEST_SUITE_P(
    All, EndpointText,
    testing::Values(EndpointCase{"bare", "s3.eu-west-1.amazonaws.com", true,
                                 "s3.eu-west-1.amazonaws.com", 0},
                    EndpointCase{"port", "minio.lan:9000", true, "minio.lan", 9000},
                    EndpointCase{"http", "http://minio.lan:9000/", false, "minio.lan", 9000},
                    EndpointCase{"https", "https://S3.Example.ORG", true, "s3.example.org", 0},
                    EndpointCase{"own_port_tls", "https://x:443", true, "x", 0},
                    EndpointCase{"own_port_plain", "http://x:80", false, "x", 0},
                    EndpointCase{"other_port_80", "https://x:80", true, "x", 80},
                    EndpointCase{"ipv4", "10.0.0.1:7480", true, "10.0.0.1", 7480},
                    EndpointCase{"ipv6", "http://[::1]:9000", false, "[::1]", 9000},
                    EndpointCase{"ipv6_bare", "[fd00::2]", true, "[fd00::2]", 0}),
    [](const auto& test) { return test.param.name; });

struct BadEndpoint {
  const char* name;
  const char* text;
  const char* why;
};

class BadEndpointText : public testing::TestWithParam<BadEndpoint> {};

TEST_P(BadEndpointText, IsRefusedWithTheReason) {
  EXPECT_THAT([] { parse_endpoint(GetParam().text); }, throws(ErrorKind::usage, GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(All, BadEndpointText,
                         testing::Values(BadEndpoint{"empty", "", "no host"},
                                         BadEndpoint{"scheme", "s3://bucket", "scheme"},
                                         BadEndpoint{"path", "https://host/bucket", "path"},
                                         BadEndpoint{"user", "https://me:pw@host", "user name"},
                                         BadEndpoint{"port_word", "host:https", "port"},
                                         BadEndpoint{"port_zero", "host:0", "port"},
                                         BadEndpoint{"port_large", "host:65536", "port"},
                                         BadEndpoint{"port_empty", "host:", "port"},
                                         BadEndpoint{"ipv6_bare", "fd00::2", "brackets"},
                                         BadEndpoint{"ipv6_open", "[::1", "bracket"},
                                         BadEndpoint{"space", "my host", "host name"},
                                         BadEndpoint{"line_break", "host\r\nX: y", "host"}),
                         [](const auto& test) { return test.param.name; });

struct StyleCase {
  const char* name;
  const char* bucket;
  const char* endpoint;
  UriStyle style;
  const char* url;  // of the key "k"
};

class Style : public testing::TestWithParam<StyleCase> {};

TEST_P(Style, DecidesWhereTheBucketGoes) {
  const auto& c = GetParam();

  const BucketUri uri = bucket_uri(c.bucket, c.endpoint, c.style);

  EXPECT_EQ(uri.url(uri.path_of("k"), ""), c.url);
}

INSTANTIATE_TEST_SUITE_P(
    All, Style,
    testing::Values(StyleCase{"auto_amazon", "b", "s3.us-east-1.amazonaws.com", UriStyle::automatic,
                              "https://b.s3.us-east-1.amazonaws.com/k"},
                    StyleCase{"auto_amazon_dots", "b.c", "s3.us-east-1.amazonaws.com",
                              UriStyle::automatic, "https://s3.us-east-1.amazonaws.com/b.c/k"},
                    StyleCase{"auto_other", "b", "minio.lan:9000", UriStyle::automatic,
                              "https://minio.lan:9000/b/k"},
                    StyleCase{"auto_address", "b", "http://127.0.0.1:9000", UriStyle::automatic,
                              "http://127.0.0.1:9000/b/k"},
                    StyleCase{"no_amazon", "b", "amazonaws.com.evil.example", UriStyle::automatic,
                              "https://amazonaws.com.evil.example/b/k"},
                    StyleCase{"host", "b", "https://s3.lan:8443", UriStyle::host,
                              "https://b.s3.lan:8443/k"},
                    StyleCase{"path", "b", "s3.us-east-1.amazonaws.com", UriStyle::path,
                              "https://s3.us-east-1.amazonaws.com/b/k"}),
    [](const auto& test) { return test.param.name; });

TEST(BucketUri, HostStyleNeedsAHostName) {
  EXPECT_THAT([] { bucket_uri("b", "127.0.0.1", UriStyle::host); },
              throws(ErrorKind::usage, "S3_URI_STYLE=path"));
  EXPECT_THAT([] { bucket_uri("b", "[::1]:80", UriStyle::host); }, throws(ErrorKind::usage));
}

TEST(BucketUri, ABucketIsABareName) {
  for (const char* bucket : {"s3://b", "b/path", "b c", "..", "b\r\n"}) {
    EXPECT_THAT([&] { bucket_uri(bucket, "host", UriStyle::path); },
                throws(ErrorKind::usage, "S3_BUCKET"))
        << bucket;
  }
}

}  // namespace
}  // namespace pgrevive::storage::s3
