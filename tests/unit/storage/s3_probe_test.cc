#include <gmock/gmock.h>

#include "storage/s3/probe.h"
#include "support/s3_storage_server.h"
#include "support/throws.h"

namespace pgrevive::storage::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::BucketServer;
using test::HttpAnswer;
using test::HttpRequest;
using testing::HasSubstr;

constexpr milliseconds kLimit{2000};

S3Options options_for(const std::string& endpoint) {
  return {.bucket = "bucket",
          .prefix = "/repo/",
          .endpoint = endpoint,
          .region = "us-east-1",
          .access_key = Secret("key"),
          .secret_key = Secret("secret")};
}

TEST(Probe, TellsTheWayToABucketThatAnswers) {
  BucketServer bucket("bucket");
  bucket.put("repo/backup/main/backup.info", "x");
  bucket.spoil([](const HttpRequest&, HttpAnswer& answer) {
    answer.headers.emplace_back("Server", "Thing");
    answer.headers.emplace_back("Date", "Fri, 24 May 2013 00:00:00 GMT");
  });

  const auto probe = s3::probe(options_for(bucket.server().endpoint()), kLimit);

  EXPECT_FALSE(probe.cause);
  EXPECT_FALSE(probe.error);
  EXPECT_EQ(probe.style, UriStyle::path);
  EXPECT_EQ(probe.address, "127.0.0.1");
  EXPECT_EQ(probe.port, bucket.server().port());
  EXPECT_TRUE(probe.resolved);
  EXPECT_TRUE(probe.connected);
  EXPECT_FALSE(probe.secured) << "it is plain HTTP";
  EXPECT_EQ(probe.server, "Thing");
  ASSERT_TRUE(probe.clock_ahead);
  EXPECT_GT(*probe.clock_ahead, std::chrono::hours(24 * 365));
  const auto requests = bucket.server().take_requests();
  ASSERT_EQ(requests.size(), 1U) << "one look, and no other";
  EXPECT_THAT(requests[0].target, HasSubstr("prefix=repo%2F"));
  EXPECT_THAT(requests[0].header("authorization"), HasSubstr("AWS4-HMAC-SHA256"));
}

TEST(Probe, TriesOnceAndNamesTheCause) {
  BucketServer bucket("bucket");
  bucket.spoil([](const HttpRequest&, HttpAnswer& answer) {
    answer = BucketServer::error(403, "RequestTimeTooSkewed");
  });

  const auto probe = s3::probe(options_for(bucket.server().endpoint()), kLimit);

  EXPECT_EQ(probe.cause, Cause::clock);
  ASSERT_TRUE(probe.error);
  EXPECT_THAT(probe.error->what(), HasSubstr("list s3://bucket/repo/"));
  EXPECT_EQ(bucket.server().take_requests().size(), 1U);
}

TEST(Probe, AnAnswerThatIsNoListIsTroubleOfTheServer) {
  BucketServer bucket("bucket");
  bucket.spoil([](const HttpRequest&, HttpAnswer& answer) {
    answer = {.headers = {{"Server", "portal"}}, .body = "<html>Please log in</html>"};
  });

  const auto probe = s3::probe(options_for(bucket.server().endpoint()), kLimit);

  EXPECT_EQ(probe.cause, Cause::server);
  EXPECT_EQ(probe.server, "portal");
}

TEST(Probe, NobodyListens) {
  const int port = test::ScriptedHttpServer{{}}.port();  // it was just given back

  const auto probe = s3::probe(options_for("http://127.0.0.1:" + std::to_string(port)), kLimit);

  EXPECT_EQ(probe.cause, Cause::connect);
  EXPECT_TRUE(probe.resolved);
  EXPECT_EQ(probe.address, "");
}

TEST(Probe, ANameWithoutAnAddress) {
  const auto probe = s3::probe(options_for("http://nosuch.invalid"), kLimit);

  EXPECT_EQ(probe.cause, Cause::resolve);
  EXPECT_FALSE(probe.resolved);
}

TEST(Probe, AServerThatNeverSpeaksTlsIsNotWaitedForLong) {
  test::ScriptedHttpServer server{{.raw = "", .after = test::After::stall}};
  const auto began = std::chrono::steady_clock::now();

  const auto probe = s3::probe(options_for("https://127.0.0.1:" + std::to_string(server.port())),
                               milliseconds(300));

  EXPECT_EQ(probe.cause, Cause::tls);
  EXPECT_EQ(probe.address, "127.0.0.1");
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(10));
}

TEST(Probe, FindsTheStyleThatWorks) {
  // The name of the bucket before a name: the server takes it for a host that it does not have.
  BucketServer bucket("bucket");
  auto options = options_for("http://localhost:" + std::to_string(bucket.server().port()));
  options.uri_style = UriStyle::host;
  options.connect_host = "127.0.0.1";

  const auto probe = s3::probe(options, kLimit);

  EXPECT_EQ(probe.style, UriStyle::host);
  EXPECT_EQ(probe.cause, Cause::bucket);
  EXPECT_EQ(probe.working_style, UriStyle::path);
}

TEST(Probe, RefusesOptionsThatCannotWork) {
  auto options = options_for("ftp://127.0.0.1");
  EXPECT_THAT([&] { s3::probe(options, kLimit); }, test::throws(ErrorKind::usage, "ftp"));
}

}  // namespace
}  // namespace pgrevive::storage::s3
