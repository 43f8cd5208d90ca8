#include <algorithm>

#include <gmock/gmock.h>

#include "storage/s3/signer.h"

namespace pgrevive::storage::s3 {
namespace {

// The examples of the S3 API reference, "Authenticating Requests: Using the Authorization Header":
// its keys, its time and its results.
constexpr const char* kHost = "examplebucket.s3.amazonaws.com";
const auto kTime = std::chrono::system_clock::from_time_t(1'369'353'600);  // 20130524T000000Z

Credentials example_keys() {
  return {.access_key = Secret("AKIAIOSFODNN7EXAMPLE"),
          .secret_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
}

std::string header(const std::vector<http::Header>& headers, const std::string& name) {
  const auto found = std::ranges::find(headers, name, &http::Header::name);
  return found == headers.end() ? "(none)" : found->value;
}

std::string authorization(const RequestToSign& request) {
  return header(sign(request, example_keys(), "us-east-1", kTime), "Authorization");
}

TEST(Signer, GetObjectWithARange) {
  EXPECT_EQ(authorization({.method = "GET",
                           .host = kHost,
                           .path = "/test.txt",
                           .headers = {{"Range", "bytes=0-9"}}}),
            "AWS4-HMAC-SHA256 "
            "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signer, APathWithAnEncodedCharacterAndABody) {
  EXPECT_EQ(authorization({.method = "PUT",
                           .host = kHost,
                           .path = "/" + encode_key("test$file.text"),
                           .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                                       {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                           .payload_hash =
                               "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}),
            "AWS4-HMAC-SHA256 "
            "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(Signer, AQueryWithoutAValue) {
  EXPECT_THAT(
      authorization({.method = "GET", .host = kHost, .path = "/", .query = {{"lifecycle", ""}}}),
      testing::EndsWith(
          "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(Signer, AListWhoseQueryIsNotInOrder) {
  EXPECT_THAT(authorization({.method = "GET",
                             .host = kHost,
                             .path = "/",
                             .query = {{"prefix", "J"}, {"max-keys", "2"}}}),
              testing::EndsWith(
                  "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(Signer, SendsWhatItSigned) {
  const auto headers =
      sign({.method = "GET", .host = kHost, .path = "/", .headers = {{"If-Match", "\"x\""}}},
           example_keys(), "us-east-1", kTime);

  EXPECT_EQ(header(headers, "Host"), kHost);
  EXPECT_EQ(header(headers, "If-Match"), "\"x\"");
  EXPECT_EQ(header(headers, "x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(header(headers, "x-amz-content-sha256"), kHashOfNothing);
  EXPECT_EQ(header(headers, "x-amz-security-token"), "(none)");
  EXPECT_THAT(header(headers, "Authorization"),
              testing::HasSubstr("SignedHeaders=host;if-match;x-amz-content-sha256;x-amz-date,"));
}

TEST(Signer, ASessionTokenIsSentAndSigned) {
  auto keys = example_keys();
  keys.session_token = Secret("token==");

  const auto headers =
      sign({.method = "GET", .host = kHost, .path = "/"}, keys, "us-east-1", kTime);

  EXPECT_EQ(header(headers, "x-amz-security-token"), "token==");
  EXPECT_THAT(header(headers, "Authorization"), testing::HasSubstr("x-amz-security-token,"));
}

TEST(Signer, RegionDayAndSecretKeyAllCount) {
  const RequestToSign request{.method = "GET", .host = kHost, .path = "/"};
  auto other_keys = example_keys();
  other_keys.secret_key = Secret("other");

  const auto one = sign(request, example_keys(), "us-east-1", kTime);

  EXPECT_NE(one, sign(request, example_keys(), "eu-west-1", kTime));
  EXPECT_NE(one, sign(request, example_keys(), "us-east-1", kTime + std::chrono::hours(24)));
  EXPECT_NE(one, sign(request, other_keys, "us-east-1", kTime));
}

}  // namespace
}  // namespace pgrevive::storage::s3
