#include <algorithm>
#include <atomic>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "storage/s3/s3.h"
#include "support/s3_storage_server.h"
#include "support/throws.h"

namespace pgrevive::storage {
namespace {

using std::chrono::milliseconds;
using test::After;
using test::BucketServer;
using test::HttpAnswer;
using test::HttpRequest;
using test::throws;
using testing::ElementsAre;
using testing::HasSubstr;

S3Options options_for(const std::string& endpoint) {
  return {.bucket = "bucket",
          .prefix = "repo",
          .endpoint = endpoint,
          .region = "us-east-1",
          .access_key = Secret("key"),
          .secret_key = Secret("secret"),
          .backoff = {.first = milliseconds(1), .ceiling = milliseconds(2), .attempts = 4}};
}

std::string text_of(const Storage& storage, const std::string& path,
                    std::optional<Range> range = {}) {
  MemorySink sink;
  storage.read(path, range, sink);
  return std::string(as_text(sink.bytes()));
}

// A bucket that spoils its first answers, one spoiler for each.
class S3 : public testing::Test {
 protected:
  void spoil(std::vector<std::function<void(HttpAnswer&)>> spoilers) {
    auto left = std::make_shared<std::vector<std::function<void(HttpAnswer&)>>>(spoilers);
    bucket_.spoil([left](const HttpRequest&, HttpAnswer& answer) {
      if (left->empty()) return;
      left->front()(answer);
      left->erase(left->begin());
    });
  }

  std::vector<std::string> ranges() {
    std::vector<std::string> ranges;
    for (const auto& request : bucket_.server().take_requests()) {
      ranges.push_back(request.header("range"));
    }
    return ranges;
  }

  static void unavailable(HttpAnswer& answer) { answer = BucketServer::error(503, "SlowDown"); }
  static std::function<void(HttpAnswer&)> cut(std::size_t bytes, After after = After::close) {
    return [=](HttpAnswer& answer) {
      answer.cut_after = bytes;
      answer.after = after;
    };
  }

  BucketServer bucket_{"bucket"};
  S3Options options_ = options_for(bucket_.server().endpoint());
  std::string digits_ = "0123456789";
};

TEST_F(S3, NamesObjectsByBucketAndKey) {
  EXPECT_EQ(open_s3(options_)->describe("backup/x"), "s3://bucket/repo/backup/x");
  options_.prefix = "/";
  EXPECT_EQ(open_s3(options_)->describe("backup/x"), "s3://bucket/backup/x");
}

TEST_F(S3, SignsEveryRequest) {
  bucket_.put("repo/a", "x");
  options_.session_token = Secret("token");
  const auto storage = open_s3(options_);

  text_of(*storage, "a");
  storage->stat("a");
  storage->list("");

  const auto requests = bucket_.server().take_requests();
  ASSERT_EQ(requests.size(), 3U);
  for (const auto& request : requests) {
    EXPECT_THAT(request.header("authorization"),
                testing::StartsWith("AWS4-HMAC-SHA256 Credential=key/"));
    EXPECT_EQ(request.header("x-amz-security-token"), "token");
    EXPECT_EQ(request.header("host"), "127.0.0.1:" + std::to_string(bucket_.server().port()));
    EXPECT_EQ(request.header("x-amz-date").size(), 16U);
  }
}

TEST_F(S3, UsesOneConnectionForManyRequests) {
  bucket_.put("repo/a", "x");
  const auto storage = open_s3(options_);

  for (int i = 0; i < 5; ++i) {
    text_of(*storage, "a");
    storage->stat("nothing");
    storage->list("");
  }

  EXPECT_EQ(bucket_.server().connections(), 1);
}

TEST(S3HostStyle, PutsTheBucketIntoTheName) {
  test::ScriptedHttpServer server{{.body = "x"}};
  auto options = options_for("http://s3.invalid");
  options.uri_style = UriStyle::host;
  options.connect_host = "127.0.0.1";
  options.connect_port = server.port();

  EXPECT_EQ(open_s3(options)->stat("a"), 1U);

  const auto request = server.take_requests().at(0);
  EXPECT_EQ(request.header("host"), "bucket.s3.invalid");
  EXPECT_EQ(request.target, "/repo/a");
}

// Trouble that passes.

TEST_F(S3, TriesAgainAfterAServerError) {
  bucket_.put("repo/a", digits_);
  spoil({unavailable, [](HttpAnswer& answer) { answer = {.status = 500}; },
         [](HttpAnswer& answer) { answer = {.status = 429}; }});
  std::vector<std::string> retries;
  options_.on_retry = [&](const std::string& what) { retries.push_back(what); };

  EXPECT_EQ(text_of(*open_s3(options_), "a"), digits_);

  EXPECT_EQ(bucket_.server().take_requests().size(), 4U);
  ASSERT_EQ(retries.size(), 3U);
  EXPECT_THAT(retries[0], HasSubstr("s3://bucket/repo/a: 503 SlowDown; trying again in"));
  EXPECT_THAT(retries[2], HasSubstr("attempt 4 of 4"));
}

TEST_F(S3, TriesAgainOnAnotherConnection) {
  bucket_.put("repo/a", digits_);
  spoil({unavailable});

  text_of(*open_s3(options_), "a");

  EXPECT_EQ(bucket_.server().connections(), 2);
}

TEST_F(S3, GivesUpAfterAllAttempts) {
  bucket_.put("repo/a", digits_);
  spoil(std::vector<std::function<void(HttpAnswer&)>>(20, unavailable));
  const auto storage = open_s3(options_);

  EXPECT_THAT([&] { text_of(*storage, "a"); },
              throws(ErrorKind::unavailable, "s3://bucket/repo/a: 503 SlowDown"));
  EXPECT_EQ(bucket_.server().take_requests().size(), 4U);
  EXPECT_THAT([&] { storage->list("d"); }, throws(ErrorKind::unavailable, "trying 4 times"));
  EXPECT_THAT([&] { storage->stat("a"); }, throws(ErrorKind::unavailable));
  EXPECT_EQ(bucket_.server().take_requests().size(), 8U);
}

TEST_F(S3, ObeysRetryAfter) {
  bucket_.put("repo/a", digits_);
  spoil({[](HttpAnswer& answer) { answer = {.status = 503, .headers = {{"Retry-After", "1"}}}; }});
  std::string what;
  options_.on_retry = [&](const std::string& text) { what = text; };
  const auto before = std::chrono::steady_clock::now();

  text_of(*open_s3(options_), "a");

  EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(1000)) << what;
}

TEST_F(S3, DoesNotTryAgainWhatTheServerRefuses) {
  bucket_.put("repo/a", digits_);
  spoil({[](HttpAnswer& answer) { answer = BucketServer::error(403, "SignatureDoesNotMatch"); }});

  EXPECT_THAT([&] { text_of(*open_s3(options_), "a"); },
              throws(ErrorKind::denied, "S3_SECRET_KEY"));
  EXPECT_EQ(bucket_.server().take_requests().size(), 1U);
}

struct CutCase {
  const char* name;
  After after;
};

class S3Cut : public S3, public testing::WithParamInterface<CutCase> {
 protected:
  // Short, for the stalled ones, and long enough for a test server that a busy machine keeps
  // waiting.
  void SetUp() override {
    if (GetParam().after == After::stall) options_.stall_timeout = milliseconds(400);
  }
};

TEST_P(S3Cut, ABodyIsResumedWhereItBrokeOff) {
  bucket_.put("repo/a", digits_);
  spoil({cut(4, GetParam().after), cut(3, GetParam().after)});

  EXPECT_EQ(text_of(*open_s3(options_), "a"), digits_);

  EXPECT_THAT(ranges(), ElementsAre("", "bytes=4-9", "bytes=7-9"));
}

TEST_P(S3Cut, ARangeIsResumedWhereItBrokeOff) {
  bucket_.put("repo/a", digits_);
  spoil({cut(2, GetParam().after)});

  EXPECT_EQ(text_of(*open_s3(options_), "a", Range{.offset = 3, .length = 5}), "34567");

  EXPECT_THAT(ranges(), ElementsAre("bytes=3-7", "bytes=5-7"));
}

TEST_P(S3Cut, AListIsAskedForAgain) {
  bucket_.put("repo/a", digits_);
  spoil({cut(60, GetParam().after)});

  EXPECT_EQ(open_s3(options_)->list("").size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(All, S3Cut,
                         testing::Values(CutCase{"closed", After::close},
                                         CutCase{"reset", After::reset},
                                         CutCase{"stalled", After::stall}),
                         [](const auto& test) { return test.param.name; });

TEST_F(S3, AResumedReadIsOfTheSameObject) {
  bucket_.put("repo/a", digits_);
  spoil({cut(4)});
  const auto storage = open_s3(options_);

  text_of(*storage, "a");

  const auto requests = bucket_.server().take_requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].header("if-match"), "");
  EXPECT_THAT(requests[1].header("if-match"), testing::StartsWith("\""));
}

TEST_F(S3, AnObjectReplacedMeanwhileIsRefused) {
  bucket_.put("repo/a", digits_);
  spoil({cut(4),
         [](HttpAnswer& answer) { answer = BucketServer::error(412, "PreconditionFailed"); }});

  EXPECT_THAT([&] { text_of(*open_s3(options_), "a"); },
              throws(ErrorKind::corrupt, "s3://bucket/repo/a was replaced"));
}

TEST_F(S3, ProgressStartsTheCountOfFailuresAgain) {
  // More breaks than attempts, each after a good piece.
  const std::string large(1 << 20, 'x');
  bucket_.put("repo/a", large);
  spoil(std::vector<std::function<void(HttpAnswer&)>>(9, cut(100'000)));

  EXPECT_EQ(text_of(*open_s3(options_), "a").size(), large.size());
}

TEST_F(S3, BreaksWithoutProgressDoNotGoOnForEver) {
  bucket_.put("repo/a", std::string(1 << 20, 'x'));
  spoil(std::vector<std::function<void(HttpAnswer&)>>(20, cut(10)));

  EXPECT_THAT([&] { text_of(*open_s3(options_), "a"); },
              throws(ErrorKind::unavailable, "from offset 30 on"));
}

// Answers that look right and are not.

TEST_F(S3, AServerThatIgnoresRangesIsRefused) {
  bucket_.put("repo/a", digits_);
  bucket_.spoil([&](const HttpRequest&, HttpAnswer& answer) { answer = {.body = digits_}; });
  const auto storage = open_s3(options_);

  EXPECT_THAT([&] { text_of(*storage, "a", Range{.offset = 2, .length = 3}); },
              throws(ErrorKind::unsupported, "ignores Range"));
  EXPECT_EQ(text_of(*storage, "a", Range{.offset = 0, .length = 10}), digits_);
}

TEST_F(S3, AnotherRangeThanAskedForIsRefused) {
  bucket_.put("repo/a", digits_);
  spoil({[](HttpAnswer& answer) {
    for (auto& [name, value] : answer.headers) {
      if (name == "Content-Range") value = "bytes 3-5/10";
    }
  }});

  EXPECT_THAT([&] { text_of(*open_s3(options_), "a", Range{.offset = 2, .length = 3}); },
              throws(ErrorKind::corrupt, "bytes 3-5/10"));
}

TEST_F(S3, AnAnswerInChunksThatEndsTooEarlyIsResumed) {
  // HTTP has nothing to complain about here; only Content-Range tells that bytes are missing.
  bucket_.put("repo/a", digits_);
  spoil({[](HttpAnswer& answer) {
    std::erase_if(answer.headers, [](const auto& header) { return header.first == "ETag"; });
    answer.headers.emplace_back("Transfer-Encoding", "chunked");
    answer.body = "2\r\n34\r\n0\r\n\r\n";
  }});

  EXPECT_EQ(text_of(*open_s3(options_), "a", Range{.offset = 3, .length = 5}), "34567");

  EXPECT_THAT(ranges(), ElementsAre("bytes=3-7", "bytes=5-7"));
}

TEST_F(S3, A404OfAProxyIsNoAbsence) {
  bucket_.spoil([](const HttpRequest&, HttpAnswer& answer) {
    answer = {.status = 404, .body = "<html>default backend</html>"};
  });
  const auto storage = open_s3(options_);

  EXPECT_THAT([&] { text_of(*storage, "a"); },
              throws(ErrorKind::unavailable, "s3://bucket/repo/a"));
  EXPECT_THAT([&] { storage->stat("a"); }, throws(ErrorKind::unavailable, "S3_ENDPOINT"));
}

TEST_F(S3, AMissingBucketIsNoAbsenceOfAnObject) {
  options_.bucket = "other";
  const auto storage = open_s3(options_);

  EXPECT_THAT([&] { storage->stat("a"); }, throws(ErrorKind::usage, "NoSuchBucket"));
  EXPECT_THAT([&] { storage->list("a"); }, throws(ErrorKind::usage, "S3_BUCKET"));
  EXPECT_THAT([&] { text_of(*storage, "a"); }, throws(ErrorKind::usage, "s3://other/repo/a"));
}

TEST_F(S3, StatSaysWhyItWasRefusedAlthoughHeadCannot) {
  bucket_.spoil([](const HttpRequest&, HttpAnswer& answer) {
    answer = BucketServer::error(403, "InvalidAccessKeyId");
  });

  EXPECT_THAT([&] { open_s3(options_)->stat("a"); },
              throws(ErrorKind::denied, "403 InvalidAccessKeyId"));
}

TEST_F(S3, StatAsksByGetWhereHeadIsNotAllowed) {
  bucket_.put("repo/a", digits_);
  bucket_.put("repo/empty", "");
  bucket_.spoil([](const HttpRequest& request, HttpAnswer& answer) {
    if (request.method == "HEAD") answer = {.status = 405};
  });
  const auto storage = open_s3(options_);

  EXPECT_EQ(storage->stat("a"), 10U);
  EXPECT_EQ(storage->stat("empty"), 0U);
  EXPECT_EQ(storage->stat("none"), std::nullopt);
}

// Lists.

TEST_F(S3, AListOfManyPagesIsWhole) {
  for (int i = 0; i < 2500; ++i) bucket_.put(fmt::format("repo/d/{:05}", i), "x");

  const auto entries = open_s3(options_)->list("d");

  ASSERT_EQ(entries.size(), 2500U);
  EXPECT_EQ(entries.front().name, "00000");
  EXPECT_EQ(entries.back().name, "02499");
  EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &Entry::name));
  EXPECT_EQ(bucket_.server().take_requests().size(), 3U);
}

TEST_F(S3, AListThatFailsOnALaterPageThrows) {
  for (int i = 0; i < 1500; ++i) bucket_.put(fmt::format("repo/d/{:05}", i), "x");
  spoil({[](HttpAnswer&) {},
         [](HttpAnswer& answer) { answer = BucketServer::error(403, "AccessDenied"); }});

  EXPECT_THAT([&] { open_s3(options_)->list("d"); },
              throws(ErrorKind::denied, "s3://bucket/repo/d"));
}

TEST_F(S3, AListThatIsCutWithoutTheConnectionNoticingThrows) {
  bucket_.put("repo/d/a", "x");
  spoil({[](HttpAnswer& answer) { answer.body.resize(answer.body.size() - 10); }});

  EXPECT_THAT([&] { open_s3(options_)->list("d"); },
              throws(ErrorKind::corrupt, "s3://bucket/repo/d/"));
}

// A page that names the next one, and has nothing.
HttpAnswer page_before(const std::string& token) {
  return {.body = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>" +
                  token + "</NextContinuationToken></ListBucketResult>"};
}

TEST_F(S3, AListThatGoesInCirclesThrows) {
  for (const int places : {1, 2, 7}) {
    std::atomic<int> turn = 0;
    bucket_.spoil([&](const HttpRequest&, HttpAnswer& answer) {
      answer = page_before("t" + std::to_string(turn++ % places));
    });

    EXPECT_THAT([&] { open_s3(options_)->list("d"); }, throws(ErrorKind::corrupt, "circles"));
    EXPECT_EQ(turn, places + 1);
  }
}

TEST_F(S3, AListWithoutAnEndThrows) {
  std::atomic<int> turn = 0;
  bucket_.spoil([&](const HttpRequest&, HttpAnswer& answer) {
    answer = page_before("t" + std::to_string(turn++));
  });

  EXPECT_THAT([&] { open_s3(options_)->list("d"); }, throws(ErrorKind::corrupt, "no end"));
}

TEST_F(S3, AnErrorDocumentAfterStatus200IsAnError) {
  bucket_.put("repo/d/a", "x");
  spoil({[](HttpAnswer& answer) { answer.body = BucketServer::error(500, "InternalError").body; }});

  EXPECT_EQ(open_s3(options_)->list("d").size(), 1U) << "and it is tried again";
}

TEST_F(S3, AnEndlessListIsNotReadIntoMemory) {
  spoil({[](HttpAnswer& answer) { answer.body = std::string(9 << 20, ' '); }});

  EXPECT_THAT([&] { open_s3(options_)->list("d"); }, throws(ErrorKind::corrupt, "longer than"));
}

// Options that cannot work are refused before anything is sent.

struct BadOptions {
  const char* name;
  void (*spoil)(S3Options&);
  const char* says;
};

class S3OptionsCheck : public testing::TestWithParam<BadOptions> {};

TEST_P(S3OptionsCheck, NamesTheSetting) {
  S3Options options = options_for("s3.example");
  GetParam().spoil(options);

  EXPECT_THAT([&] { open_s3(options); }, throws(ErrorKind::usage, GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, S3OptionsCheck,
    testing::Values(
        BadOptions{"bucket", [](S3Options& o) { o.bucket.clear(); }, "S3_BUCKET"},
        BadOptions{"endpoint", [](S3Options& o) { o.endpoint.clear(); }, "S3_ENDPOINT"},
        BadOptions{"region", [](S3Options& o) { o.region.clear(); }, "S3_REGION"},
        BadOptions{"access_key", [](S3Options& o) { o.access_key = {}; }, "S3_ACCESS_KEY"},
        BadOptions{"secret_key", [](S3Options& o) { o.secret_key = {}; }, "S3_SECRET_KEY"},
        BadOptions{"port", [](S3Options& o) { o.connect_port = 70'000; }, "70000"},
        BadOptions{"line_break", [](S3Options& o) { o.access_key = Secret("key\r\nX: y"); },
                   "S3_ACCESS_KEY"},
        BadOptions{"host_style",
                   [](S3Options& o) {
                     o.endpoint = "10.0.0.1";
                     o.uri_style = UriStyle::host;
                   },
                   "S3_URI_STYLE"}),
    [](const auto& test) { return test.param.name; });

TEST_F(S3, AStopRequestEndsTheWaitForTheNextAttempt) {
  options_.backoff = {.first = std::chrono::minutes(5), .ceiling = std::chrono::minutes(5)};
  std::stop_source source;
  options_.on_retry = [&](const std::string&) { source.request_stop(); };
  bucket_.put("repo/a", "text");
  spoil({unavailable});
  MemorySink sink;

  EXPECT_THAT([&] { open_s3(options_)->read("a", {}, sink, source.get_token()); },
              throws(ErrorKind::cancelled, "stopped"));
}

}  // namespace
}  // namespace pgrevive::storage
