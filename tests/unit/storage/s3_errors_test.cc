#include <gmock/gmock.h>

#include "storage/s3/errors.h"

namespace pgrevive::storage::s3 {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const auto kNow = std::chrono::system_clock::from_time_t(1'369'353'600);  // 24 May 2013, 0:00

const Asked kAsked{.doing = "read s3://bucket/backup.info",
                   .bucket = "bucket",
                   .endpoint = "s3.example",
                   .region = "us-east-1"};

std::string document(const std::string& code, const std::string& more = "") {
  return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code>" + more + "</Error>";
}

Refusal refuse(int status, const std::string& body, std::vector<http::Header> headers = {},
               const Asked& asked = kAsked) {
  return s3::refuse(asked, {.status = status, .headers = std::move(headers)}, body, kNow);
}

Refusal refuse(http::Trouble trouble, const Asked& asked = kAsked) {
  return s3::refuse(asked, {.failure = http::Failure{trouble, "details"}}, "", kNow);
}

TEST(ParseError, GivesTheFields) {
  const auto error = parse_error(document("NoSuchKey",
                                          "<Message>The key\ndoes not exist.</Message>"
                                          "<RequestId>tx0001</RequestId><HostId>x</HostId>"));

  EXPECT_EQ(error.code, "NoSuchKey");
  EXPECT_EQ(error.request_id, "tx0001");
  EXPECT_THAT(error.message, testing::Not(HasSubstr("\n"))) << "a message is one line in a log";
}

TEST(ParseError, AnythingElseIsNoDocument) {
  for (const char* body : {"", "<html><Code>x</Code></html>", "<Error><Code>", "\xff\xfe{}"}) {
    EXPECT_EQ(parse_error(body).code, "") << body;
  }
}

struct Case {
  const char* name;
  int status;
  std::string body;
  std::vector<http::Header> headers;
  ErrorKind kind;
  bool retry;
  std::vector<std::string> says;  // each in the message or the hint
};

class Answer : public testing::TestWithParam<Case> {};

TEST_P(Answer, IsExplained) {
  const auto& c = GetParam();

  const Refusal refusal = refuse(c.status, c.body, c.headers);

  EXPECT_EQ(refusal.error.kind(), c.kind);
  EXPECT_EQ(refusal.retry, c.retry);
  const std::string text = refusal.error.text();
  EXPECT_THAT(text, HasSubstr("s3://bucket/backup.info"));
  EXPECT_THAT(text, HasSubstr(std::to_string(c.status)));
  for (const auto& words : c.says) EXPECT_THAT(text, HasSubstr(words));
}

INSTANTIATE_TEST_SUITE_P(
    All, Answer,
    testing::Values(
        Case{"absent", 404, document("NoSuchKey"), {}, ErrorKind::not_found, false, {"NoSuchKey"}},
        Case{"no_bucket",
             404,
             document("NoSuchBucket"),
             {},
             ErrorKind::usage,
             false,
             {"NoSuchBucket", "S3_BUCKET"}},
        Case{"not_of_s3",
             404,
             "<html>nginx</html>",
             {},
             ErrorKind::unavailable,
             false,
             {"not one of an S3 server", "S3_ENDPOINT"}},
        Case{"wrong_secret",
             403,
             document("SignatureDoesNotMatch", "<Message>It does not match.</Message>"),
             {},
             ErrorKind::denied,
             false,
             {"SignatureDoesNotMatch: It does not match\n", "S3_SECRET_KEY"}},
        Case{"wrong_key",
             403,
             document("InvalidAccessKeyId"),
             {},
             ErrorKind::denied,
             false,
             {"InvalidAccessKeyId", "S3_ACCESS_KEY"}},
        Case{"denied",
             403,
             document("AccessDenied"),
             {},
             ErrorKind::denied,
             false,
             {"AccessDenied", "s3:GetObject", "s3:ListBucket"}},
        Case{"expired",
             400,
             document("ExpiredToken"),
             {},
             ErrorKind::denied,
             false,
             {"ExpiredToken", "S3_SESSION_TOKEN"}},
        Case{"skewed_behind",
             403,
             document("RequestTimeTooSkewed"),
             {{"Date", "Fri, 24 May 2013 00:20:00 GMT"}},
             ErrorKind::denied,
             false,
             {"RequestTimeTooSkewed", "20 min", "behind"}},
        Case{"skewed_ahead",
             403,
             document("RequestTimeTooSkewed"),
             {{"Date", "Thu, 23 May 2013 23:30:00 GMT"}},
             ErrorKind::denied,
             false,
             {"30 min", "ahead of"}},
        Case{"skewed_without_date",
             403,
             document("RequestTimeTooSkewed"),
             {},
             ErrorKind::denied,
             false,
             {"clock of this host"}},
        Case{"region_element",
             400,
             document("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
             {},
             ErrorKind::usage,
             false,
             {"S3_REGION=eu-west-1", "us-east-1"}},
        Case{"region_in_words",
             400,
             document("AuthorizationHeaderMalformed",
                      "<Message>the region 'us-east-1' is wrong; expecting 'ap-south-1'"
                      "</Message>"),
             {},
             ErrorKind::usage,
             false,
             {"S3_REGION=ap-south-1"}},
        Case{"region_header",
             301,
             "",
             {{"x-amz-bucket-region", "eu-north-1"}},
             ErrorKind::usage,
             false,
             {"S3_REGION=eu-north-1"}},
        Case{
            "redirect",
            301,
            document("PermanentRedirect", "<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>"),
            {},
            ErrorKind::usage,
            false,
            {"PermanentRedirect", "served by bucket.s3.eu-west-1.amazonaws.com", "S3_ENDPOINT"}},
        Case{"redirect_elsewhere",
             302,
             "",
             {{"Location", "https://login.example/"}},
             ErrorKind::usage,
             false,
             {"sends us to https://login.example:"}},
        Case{"slow_down",
             503,
             document("SlowDown"),
             {},
             ErrorKind::unavailable,
             true,
             {"SlowDown", "fewer requests"}},
        Case{"too_many", 429, "", {}, ErrorKind::unavailable, true, {"fewer requests"}},
        Case{"internal",
             500,
             document("InternalError"),
             {},
             ErrorKind::unavailable,
             true,
             {"InternalError"}},
        Case{"gateway", 502, "<html/>", {}, ErrorKind::unavailable, true, {}},
        Case{"request_time_out", 408, "", {}, ErrorKind::unavailable, true, {}},
        Case{"idle", 400, document("RequestTimeout"), {}, ErrorKind::unavailable, true, {}},
        Case{"not_implemented",
             501,
             document("NotImplemented"),
             {},
             ErrorKind::unsupported,
             false,
             {"an S3 server"}},
        Case{"archived",
             403,
             document("InvalidObjectState"),
             {},
             ErrorKind::denied,
             false,
             {"archive tier"}},
        Case{"https_port",
             400,
             "Client sent an HTTP request to an HTTPS server.",
             {{"Server", "Thing"}},
             ErrorKind::unsupported,
             false,
             {"Thing", "S3_ENDPOINT"}}),
    [](const auto& test) { return test.param.name; });

TEST(Refuse, TellsWhereOnItsWayARequestWasTurnedAway) {
  const auto cause = [](int status, const std::string& code, const std::string& more = "") {
    return refuse(status, document(code, more)).cause;
  };
  EXPECT_EQ(cause(403, "RequestTimeTooSkewed"), Cause::clock);
  EXPECT_EQ(cause(403, "SignatureDoesNotMatch"), Cause::credentials);
  EXPECT_EQ(cause(403, "InvalidAccessKeyId"), Cause::credentials);
  EXPECT_EQ(cause(400, "ExpiredToken"), Cause::credentials);
  EXPECT_EQ(cause(400, "AuthorizationHeaderMalformed"), Cause::credentials);
  EXPECT_EQ(cause(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            Cause::region);
  EXPECT_EQ(cause(301, "PermanentRedirect"), Cause::region);
  EXPECT_EQ(cause(404, "NoSuchBucket"), Cause::bucket);
  EXPECT_EQ(cause(403, "AccessDenied"), Cause::permission);
  EXPECT_EQ(cause(404, "NoSuchKey"), Cause::object);
  EXPECT_EQ(cause(503, "SlowDown"), Cause::server);
  EXPECT_EQ(refuse(404, "<html/>").cause, Cause::server);

  EXPECT_EQ(refuse(http::Trouble::resolve).cause, Cause::resolve);
  EXPECT_EQ(refuse(http::Trouble::connect).cause, Cause::connect);
  EXPECT_EQ(refuse(http::Trouble::certificate).cause, Cause::tls);
  EXPECT_EQ(refuse(http::Trouble::not_tls).cause, Cause::tls);
  EXPECT_EQ(refuse(http::Trouble::setup).cause, Cause::tls);
  EXPECT_EQ(refuse(http::Trouble::not_http).cause, Cause::server);
}

TEST(Refuse, AListNeedsAnotherPermissionThanAnObject) {
  Asked asked = kAsked;
  asked.one_object = false;

  const auto refusal = refuse(403, document("AccessDenied"), {}, asked);

  EXPECT_THAT(refusal.error.hint(), HasSubstr("s3:ListBucket"));
  EXPECT_THAT(refusal.error.hint(), testing::Not(HasSubstr("s3:GetObject")));
}

TEST(Refuse, TheServersOwnWaitIsTakenUpToAPoint) {
  using std::chrono::milliseconds;
  EXPECT_EQ(refuse(503, "").retry_after, std::nullopt);
  EXPECT_EQ(refuse(503, "", {{"Retry-After", "7"}}).retry_after, milliseconds(7000));
  EXPECT_EQ(refuse(503, "", {{"Retry-After", "86400"}}).retry_after, std::chrono::minutes(2));
  EXPECT_EQ(refuse(403, "", {{"Retry-After", "7"}}).retry_after, std::nullopt);
}

TEST(Refuse, WhatASecondTryCannotMendIsNotTriedAgain) {
  using http::Trouble;
  for (const auto trouble :
       {Trouble::resolve, Trouble::connect, Trouble::stalled, Trouble::broken, Trouble::tls}) {
    EXPECT_TRUE(refuse(trouble).retry) << static_cast<int>(trouble);
  }
  for (const auto trouble :
       {Trouble::certificate, Trouble::not_tls, Trouble::not_http, Trouble::setup}) {
    EXPECT_FALSE(refuse(trouble).retry) << static_cast<int>(trouble);
  }
}

TEST(Refuse, ACertificateIsWrongInDifferentWays) {
  const auto hint = [](const std::string& text) {
    return s3::refuse(kAsked, {.failure = http::Failure{http::Trouble::certificate, text}}, "",
                      kNow)
        .error.hint();
  };

  EXPECT_THAT(hint("SSL: no alternative certificate subject name matches target host name 'x'"),
              HasSubstr("another name"));
  EXPECT_THAT(hint("SSL certificate problem: certificate has expired"), HasSubstr("renew"));
  EXPECT_THAT(hint("SSL certificate problem: unable to get local issuer certificate"),
              HasSubstr("S3_CA_FILE"));
}

TEST(Refuse, AServerThatHangsUpOnPlainTextMayWantTls) {
  Asked plain = kAsked;
  plain.tls = false;

  EXPECT_THAT(refuse(http::Trouble::broken, plain).error.hint(), HasSubstr("https://"));
  EXPECT_EQ(refuse(http::Trouble::broken).error.hint(), "");
}

TEST(Refuse, TroubleNamesServerAndSetting) {
  using http::Trouble;
  Asked plain = kAsked;
  plain.tls = false;

  for (const auto& [refusal, words] : {std::pair{refuse(Trouble::certificate), "S3_CA_FILE"},
                                       std::pair{refuse(Trouble::certificate), "S3_VERIFY_TLS"},
                                       std::pair{refuse(Trouble::not_tls), "http://"},
                                       std::pair{refuse(Trouble::not_http, plain), "https://"},
                                       std::pair{refuse(Trouble::resolve), "S3_ENDPOINT"},
                                       std::pair{refuse(Trouble::connect), "S3_ENDPOINT"}}) {
    EXPECT_THAT(refusal.error.hint(), HasSubstr(words));
    EXPECT_THAT(refusal.error.what(), AllOf(HasSubstr("s3://bucket/backup.info"),
                                            HasSubstr("s3.example"), HasSubstr("details")));
  }
}

}  // namespace
}  // namespace pgrevive::storage::s3
