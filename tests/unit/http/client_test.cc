#include "http/client.h"

#include <barrier>
#include <fstream>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/scripted_http_server.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::http {
namespace {

using std::chrono::milliseconds;
using test::After;
using test::ScriptedHttpServer;
using testing::HasSubstr;

struct Got {
  Response response;
  std::string body;
};

Got get(const Client& client, const std::string& url, Request request = {}) {
  Got got;
  request.url = url;
  got.response =
      client.perform(request, [&](const Response&, ByteView bytes) { got.body += as_text(bytes); });
  return got;
}

// Short for a test that waits for it, and long enough for a server thread on a busy machine.
constexpr milliseconds kStall{400};

// A port nobody listens on: it was just given back.
int closed_port() { return ScriptedHttpServer{{}}.port(); }

TEST(Client, GivesStatusHeadersAndBody) {
  ScriptedHttpServer server{{.headers = {{"ETag", "\"x\""}}, .body = "hello"}};

  const auto got = get(Client({}), server.url("/a"));

  EXPECT_FALSE(got.response.failure);
  EXPECT_EQ(got.response.status, 200);
  ASSERT_NE(got.response.find("etag"), nullptr);
  EXPECT_EQ(*got.response.find("etag"), "\"x\"");
  EXPECT_EQ(got.response.content_length(), 5U);
  EXPECT_EQ(got.response.body_bytes, 5U);
  EXPECT_EQ(got.body, "hello");
}

TEST(Response, HasNoLengthThatNoFileMayHave) {
  const auto length_of = [](const char* text) {
    return Response{.headers = {{"Content-Length", text}}}.content_length();
  };
  EXPECT_EQ(length_of("9223372036854775807"), 9223372036854775807U);
  for (const char* text : {"9223372036854775808", "18446744073709551616", "-1", "5 5", ""})
    EXPECT_EQ(length_of(text), std::nullopt) << text;
}

TEST(Client, SendsTargetAndHeadersAsTheyStand) {
  ScriptedHttpServer server{{}};

  get(Client({}), server.url("/a/../b/./c%2Fd%20e//f?x=%2F&y="),
      {.headers = {{"Host", "bucket.example"}, {"Range", "bytes=1-2"}, {"X-Empty", ""}}});

  const auto requests = server.take_requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method, "GET");
  EXPECT_EQ(requests[0].target, "/a/../b/./c%2Fd%20e//f?x=%2F&y=");
  EXPECT_EQ(requests[0].header("host"), "bucket.example");
  EXPECT_EQ(requests[0].header("range"), "bytes=1-2");
  EXPECT_TRUE(requests[0].headers.contains("x-empty"));
  EXPECT_FALSE(requests[0].headers.contains("accept-encoding"));
}

TEST(Client, LeavesAProxyOutForAServerOfThisHost) {
  ScriptedHttpServer server{{.body = "here"}};
  const auto proxy = fmt::format("http://127.0.0.1:{}/", closed_port());
  for (const char* name : {"no_proxy", "NO_PROXY"}) ::unsetenv(name);  // of this process alone
  ASSERT_EQ(::setenv("http_proxy", proxy.c_str(), 1), 0);

  const auto by_proxy = get(Client({}), server.url("/"));
  const auto direct = get(Client({.no_proxy = true}), server.url("/"));
  ::unsetenv("http_proxy");

  ASSERT_TRUE(by_proxy.response.failure);
  EXPECT_EQ(by_proxy.response.failure->trouble, Trouble::connect);
  EXPECT_FALSE(direct.response.failure);
  EXPECT_EQ(direct.body, "here");
}

TEST(Client, TellsTheRouteToThoseWhoAsk) {
  ScriptedHttpServer server{{.body = "a"}, {.body = "b"}};
  const Client client({});

  EXPECT_FALSE(get(client, server.url("/")).response.route);

  const auto got = get(client, server.url("/"), {.fresh_connection = true, .inspect = true});
  ASSERT_TRUE(got.response.route);
  EXPECT_EQ(got.response.route->address, "127.0.0.1");
  EXPECT_EQ(got.response.route->port, server.port());
  EXPECT_TRUE(got.response.route->resolved);
  EXPECT_TRUE(got.response.route->connected);
  EXPECT_FALSE(got.response.route->secured) << "it is plain HTTP";

  const auto failed = get(client, "http://127.0.0.1:" + std::to_string(closed_port()) + "/",
                          {.fresh_connection = true, .inspect = true});
  ASSERT_TRUE(failed.response.route);
  EXPECT_TRUE(failed.response.route->resolved);
  EXPECT_EQ(failed.response.route->address, "");
}

TEST(Client, HeadHasALengthAndNoBody) {
  ScriptedHttpServer server{{.body = "hello"}};

  const auto got = get(Client({}), server.url("/a"), {.method = Method::head});

  EXPECT_FALSE(got.response.failure);
  EXPECT_EQ(got.response.content_length(), 5U);
  EXPECT_EQ(got.body, "");
}

TEST(Client, KeepsAConnectionForTheNextRequest) {
  ScriptedHttpServer server{{.body = "1"}, {.status = 404, .body = "2"}, {.body = "3"}};
  const Client client({});

  for (int i = 0; i < 3; ++i) get(client, server.url("/a"));

  EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReplacesAKeptConnectionThatTheServerHasClosed) {
  ScriptedHttpServer server{{.body = "1", .after = After::close}, {.body = "2"}};
  const Client client({});

  get(client, server.url("/a"));
  const auto got = get(client, server.url("/a"));

  EXPECT_FALSE(got.response.failure);
  EXPECT_EQ(got.body, "2");
  EXPECT_EQ(server.connections(), 2);
}

TEST(Client, AFreshConnectionIsFresh) {
  ScriptedHttpServer server{{}, {}};
  const Client client({});

  get(client, server.url("/a"));
  get(client, server.url("/a"), {.fresh_connection = true});

  EXPECT_EQ(server.connections(), 2);
}

TEST(Client, OpensAsManyConnectionsAsThreadsCallAtOnce) {
  constexpr int kThreads = 6;
  std::barrier all_here(kThreads);
  ScriptedHttpServer server([&](const test::HttpRequest&) {
    all_here.arrive_and_wait();  // no answer before all have asked
    return test::HttpAnswer{.body = "x"};
  });
  const Client client({});

  for (int round = 0; round < 3; ++round) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(get(client, server.url("/a")).body, "x"); });
    }
  }

  EXPECT_EQ(server.connections(), kThreads);
}

TEST(Client, DoesNotFollowARedirect) {
  ScriptedHttpServer server{{.status = 301, .headers = {{"Location", "/elsewhere"}}}};

  EXPECT_EQ(get(Client({}), server.url("/a")).response.status, 301);
  EXPECT_EQ(server.take_requests().size(), 1U);
}

TEST(Client, DoesNotDecodeABody) {
  ScriptedHttpServer server{{.headers = {{"Content-Encoding", "gzip"}}, .body = "not gzip"}};

  EXPECT_EQ(get(Client({}), server.url("/a")).body, "not gzip");
}

TEST(Client, SkipsAnInterimAnswer) {
  ScriptedHttpServer server{{.raw = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
                                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};

  const auto got = get(Client({}), server.url("/a"));

  EXPECT_EQ(got.response.status, 200);
  EXPECT_EQ(got.response.find("x-interim"), nullptr);
  EXPECT_EQ(got.body, "ok");
}

TEST(Client, ConnectsElsewhereWithoutChangingTheRequest) {
  ScriptedHttpServer server{{.body = "here"}};
  const Client client({.connect_host = "127.0.0.1", .connect_port = server.port()});

  const auto got = get(client, "http://bucket.name.invalid/a");

  EXPECT_EQ(got.body, "here");
  EXPECT_EQ(server.take_requests().at(0).header("host"), "bucket.name.invalid");
}

TEST(Client, WhatTheCallbackThrowsPassesThroughAndTheClientStaysUsable) {
  ScriptedHttpServer server{{.body = std::string(1 << 20, 'x')}, {.body = "next"}};
  const Client client({});

  EXPECT_THAT(
      [&] {
        client.perform({.url = server.url("/a")}, [](const Response&, ByteView) {
          throw Error(ErrorKind::cancelled, "enough");
        });
      },
      test::throws(ErrorKind::cancelled, "enough"));
  EXPECT_EQ(get(client, server.url("/a")).body, "next");
}

TEST(Client, SomethingThatIsNoUrlIsOurOwnFault) {
  EXPECT_THAT([] { get(Client({}), "http://a b/"); }, test::throws(ErrorKind::internal));
}

// Each kind of trouble by its own name, with words in which the thing is named.

TEST(ClientTrouble, ANameWithoutAddress) {
  const auto got = get(Client({}), "http://no-such-host.invalid/");

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::resolve);
  EXPECT_THAT(got.response.failure->text, HasSubstr("no-such-host.invalid"));
}

TEST(ClientTrouble, AClientStaysUsableAfterTroubleOfEachKind) {
  ScriptedHttpServer server{{.raw = "", .after = After::reset},
                            {.body = "hello", .cut_after = 2, .after = After::stall},
                            {.body = "at last"}};
  const Client client({.stall_timeout = kStall});

  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(get(client, "http://no-such-host.invalid/").response.failure->trouble,
              Trouble::resolve);
  }
  EXPECT_TRUE(get(client, server.url("/a")).response.failure);
  EXPECT_TRUE(get(client, server.url("/a")).response.failure);
  EXPECT_EQ(get(client, "http://no-such-host.invalid/").response.failure->trouble,
            Trouble::resolve);
  EXPECT_EQ(get(client, server.url("/a")).body, "at last");
}

TEST(ClientTrouble, NobodyListens) {
  const int port = closed_port();
  const auto got = get(Client({}), "http://127.0.0.1:" + std::to_string(port) + "/");

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::connect);
  EXPECT_THAT(got.response.failure->text, HasSubstr("port " + std::to_string(port)));
  EXPECT_THAT(got.response.failure->text, HasSubstr("Connection refused"));
}

TEST(ClientTrouble, ConnectingTakesTooLong) {
  // The TCP handshake is the kernel's; the TLS one never ends, and it is part of connecting.
  ScriptedHttpServer server{{.raw = "", .after = After::stall}};
  const auto got = get(Client({.connect_timeout = milliseconds(50)}),
                       "https://127.0.0.1:" + std::to_string(server.port()) + "/");

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::connect);
  EXPECT_EQ(got.response.status, 0);
}

TEST(ClientTrouble, ABodyThatIsCut) {
  ScriptedHttpServer server{{.body = "hello", .cut_after = 2, .after = After::close}};

  const auto got = get(Client({}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::broken);
  EXPECT_EQ(got.response.status, 200);
  EXPECT_EQ(got.body, "he");
}

TEST(ClientTrouble, AConnectionThatIsReset) {
  ScriptedHttpServer server{{.raw = "", .after = After::reset}};

  const auto got = get(Client({}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::broken);
  EXPECT_EQ(got.response.status, 0);
}

TEST(ClientTrouble, AServerThatGoesSilentHalfway) {
  ScriptedHttpServer server{{.body = "hello", .cut_after = 2, .after = After::stall}};

  const auto got = get(Client({.stall_timeout = kStall}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::stalled);
  EXPECT_EQ(got.body, "he");
}

TEST(ClientTrouble, AServerThatNeverAnswers) {
  ScriptedHttpServer server{{.raw = "", .after = After::stall}};

  const auto got = get(Client({.stall_timeout = kStall}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::stalled);
}

TEST(ClientTrouble, AStopRequestEndsAWaitForTheServer) {
  ScriptedHttpServer server{{.raw = "", .after = After::stall}};
  std::stop_source source;
  const std::jthread soon([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    source.request_stop();
  });
  const auto began = std::chrono::steady_clock::now();

  EXPECT_THAT(
      [&] {
        Client({}).perform(
            {.url = server.url("/a")}, [](const Response&, ByteView) {}, source.get_token());
      },
      test::throws(ErrorKind::cancelled, "stopped"));

  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

TEST(ClientTrouble, ASlowCallbackIsNoStall) {
  const std::string body(1 << 20, 'x');
  ScriptedHttpServer server{{.body = body}};
  const Client client({.stall_timeout = kStall});
  bool slept = false;

  const auto response = client.perform({.url = server.url("/a")}, [&](const Response&, ByteView) {
    // The one place where a test has to let time pass: our side is what is slow.
    if (!std::exchange(slept, true)) std::this_thread::sleep_for(2 * kStall);
  });

  EXPECT_FALSE(response.failure) << response.failure->text;
  EXPECT_EQ(response.body_bytes, body.size());
}

TEST(ClientTrouble, PlainHttpWhereTlsWasAsked) {
  ScriptedHttpServer server{
      {.raw = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", .after = After::close}};

  const auto got = get(Client({}), "https://127.0.0.1:" + std::to_string(server.port()) + "/");

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::not_tls) << got.response.failure->text;
}

TEST(ClientTrouble, TlsWherePlainHttpWasAsked) {
  // A TLS alert record, which is what OpenSSL says to "GET / HTTP/1.1".
  ScriptedHttpServer server(
      {{.raw = std::string("\x15\x03\x01\x00\x02\x02\x46", 7), .after = After::close}});

  const auto got = get(Client({}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::not_http);
}

TEST(ClientTrouble, AHeadWithoutEnd) {
  std::string raw = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 400; ++i) raw += "X-Padding: " + std::string(1000, 'x') + "\r\n";
  ScriptedHttpServer server{{.raw = raw + "\r\n", .after = After::close}};

  const auto got = get(Client({}), server.url("/a"));

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::not_http);
}

TEST(ClientTrouble, ACaFileThatIsNotThere) {
  ScriptedHttpServer server{{}};
  const Client client({.tls = {.ca_file = "/nonexistent/ca.pem"}});

  const auto got = get(client, "https://127.0.0.1:" + std::to_string(server.port()) + "/");

  ASSERT_TRUE(got.response.failure);
  EXPECT_EQ(got.response.failure->trouble, Trouble::setup);
  EXPECT_THAT(got.response.failure->text, HasSubstr("/nonexistent/ca.pem"));
}

TEST(Response, SaysWhetherItsBodyIsFramed) {
  EXPECT_TRUE((Response{.headers = {{"content-length", "3"}}}.has_framed_body()));
  EXPECT_TRUE((Response{.headers = {{"Transfer-Encoding", "Chunked"}}}.has_framed_body()));
  EXPECT_FALSE(Response{}.has_framed_body());
}

TEST(Response, RetryAfterIsSecondsOrADate) {
  const auto now = std::chrono::system_clock::from_time_t(1'369'353'600);  // 24 May 2013, 0:00

  const auto wait = [&](const std::string& value) {
    return retry_after({.headers = {{"Retry-After", value}}}, now);
  };

  EXPECT_EQ(wait("3"), milliseconds(3000));
  EXPECT_EQ(wait("Fri, 24 May 2013 00:00:07 GMT"), milliseconds(7000));
  EXPECT_EQ(wait("Thu, 23 May 2013 00:00:00 GMT"), milliseconds(0));
  EXPECT_EQ(wait("99999999999999"), std::chrono::hours(24));
  EXPECT_EQ(wait("soon"), std::nullopt);
  // The last moment that is one, and the next.
  EXPECT_TRUE(date({.headers = {{"Date", "Tue, 31 Dec 2199 23:59:59 GMT"}}}));
  EXPECT_EQ(date({.headers = {{"Date", "Wed, 01 Jan 2200 00:00:00 GMT"}}}), std::nullopt);
  EXPECT_EQ(retry_after({}, now), std::nullopt);
}

}  // namespace
}  // namespace pgrevive::http
