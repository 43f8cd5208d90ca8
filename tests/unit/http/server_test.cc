#include "http/server.h"

#include <array>
#include <latch>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

namespace pgrevive::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A client that sees every byte.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // A server that hangs fails the test instead of the run.
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  void send(const std::string& text) const {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void get(const std::string& path) const { send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); }

  // Everything up to and with `end`, or to the end of the connection.
  std::string read_to(const std::string& end) {
    std::array<char, 4096> buffer;
    for (;;) {
      if (const auto found = seen_.find(end); found != std::string::npos) {
        auto text = seen_.substr(0, found + end.size());
        seen_.erase(0, found + end.size());
        return text;
      }
      const auto size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (size <= 0) return std::exchange(seen_, {}) + "<closed>";
      seen_.append(buffer.data(), static_cast<std::size_t>(size));
    }
  }

 private:
  Fd fd_;
  std::string seen_;
};

class RunningServer {
 public:
  explicit RunningServer(ServerOptions options = {})
      : server_(std::move(options),
                [this](const ServerRequest& request) { return answer(request); }),
        thread_([this](const std::stop_token& stop) { server_.run(stop); }) {}

  Server& operator*() { return server_; }
  Server* operator->() { return &server_; }
  std::latch work{1};  // "/later" answers when it is counted down

 private:
  ServerResponse answer(const ServerRequest& request) {
    if (request.path == "/stream")
      return {.type = "text/event-stream", .body = "first\n", .stream = true};
    if (request.path == "/later")
      return {.later = [this] {
        work.wait();
        return ServerResponse{.body = "at last\n"};
      }};
    return {.body = request.method + " " + request.path + " " + request.body + "\n"};
  }

  Server server_;
  std::jthread thread_;
};

TEST(Server, AnswersOneRequestAfterTheOtherOnAConnection) {
  RunningServer server;
  RawClient client(server->port());

  client.get("/one");
  EXPECT_THAT(client.read_to("GET /one \n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  client.send(
      "POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /three HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  EXPECT_THAT(client.read_to("POST /two hi\n"), HasSubstr("Content-Length: 13\r\n"));
  client.read_to("GET /three \n");
  client.send("HEAD /four HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_to("<never>"), testing::EndsWith("close\r\n\r\n<closed>"));
}

TEST(Server, RefusesWhatItCannotRead) {
  RunningServer server;
  RawClient client(server->port());

  client.send("hello\r\n\r\n");

  const auto answer = client.read_to("<never>");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("<closed>"));
}

TEST(Server, RefusesInTheWordsOfWhoServes) {
  RunningServer server({.jobs = 0, .refusal = [](int status, const std::string& reason) {
                          return ServerResponse{.status = status,
                                                .type = "application/json",
                                                .body = "{\"why\": \"" + reason + "\"}\n",
                                                .headers = {{"X-Of", "ours"}}};
                        }});
  RawClient busy(server->port());
  busy.get("/later");
  const auto answer = busy.read_to("}\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Of: ours\r\n"));
  EXPECT_THAT(answer, HasSubstr("{\"why\": \"too much to do at once; try again\"}\n"));

  RawClient wrong(server->port());
  wrong.send("hello\r\n\r\n");
  EXPECT_THAT(wrong.read_to("<never>"), HasSubstr("\r\n\r\n{\"why\": "));
}

TEST(Server, ServesOthersWhileAJobTakesItsTime) {
  RunningServer server({.jobs = 1});
  RawClient slow(server->port());
  RawClient other(server->port());
  slow.get("/later");
  other.get("/meanwhile");
  other.read_to("GET /meanwhile \n");

  other.get("/later");
  EXPECT_THAT(other.read_to("again\n"), HasSubstr("503 Service Unavailable"));

  server.work.count_down();
  EXPECT_THAT(slow.read_to("at last\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// Of so large a stack there is none.
class NoThreads {
 public:
  NoThreads() {
    ::pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    ::pthread_getattr_default_np(&huge);
    EXPECT_EQ(::pthread_attr_setstacksize(&huge, 1ULL << 50), 0);
    EXPECT_EQ(::pthread_setattr_default_np(&huge), 0);
    ::pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    EXPECT_EQ(::pthread_setattr_default_np(&before_), 0);
    ::pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

TEST(Server, RefusesAJobThatThereIsNoThreadFor) {
  RunningServer server;
  RawClient client(server->port());
  {
    const NoThreads none;
    client.get("/later");
    EXPECT_THAT(client.read_to("again\n"), HasSubstr("503 Service Unavailable"));
  }
  client.get("/later");
  server.work.count_down();
  EXPECT_THAT(client.read_to("at last\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(Server, AJobWhoseClientIsGoneAnswersNobodyElse) {
  RunningServer server;
  {
    RawClient gone(server->port());
    gone.get("/later");
  }
  server.work.count_down();
  RawClient client(server->port());
  client.get("/x");
  EXPECT_THAT(client.read_to("GET /x \n"), testing::Not(HasSubstr("at last")));
}

TEST(Server, PublishesToAllWhoListen) {
  RunningServer server;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->get("/stream");
    EXPECT_THAT(clients.back()->read_to("first\n"), HasSubstr("text/event-stream"));
  }

  server->publish("second\n");
  for (auto& client : clients) EXPECT_EQ(client->read_to("\n"), "second\n");
  EXPECT_EQ(server->listeners(), 50u);

  clients.clear();
  // Whoever is gone is seen to be at the next look.
  for (int i = 0; i < 2000 && server->listeners() > 0; ++i) {
    server->publish("third\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(server->listeners(), 0u);
}

TEST(Server, GivesWhoIsSlowTheNewestOnly) {
  RunningServer server;
  RawClient client(server->port());
  client.get("/stream");
  client.read_to("first\n");

  // More than the system keeps for a connection, so that most of it has to wait, or to go.
  for (int i = 0; i < 100; ++i)
    server->publish("<" + std::to_string(i) + std::string(1 << 20, '.') + ">\n");
  server->publish("last\n");

  const auto text = client.read_to("last\n");
  EXPECT_LT(text.size(), 90u << 20);
  EXPECT_THAT(text, testing::EndsWith(">\nlast\n"));  // what had begun came to its end
}

TEST(Server, LimitsConnectionsAndTheTimeOfARequest) {
  RunningServer server({.connections = 2, .idle = std::chrono::seconds(1)});
  RawClient first(server->port());
  RawClient second(server->port());
  first.get("/1");
  second.get("/2");
  first.read_to("/1 \n");
  second.read_to("/2 \n");

  RawClient third(server->port());
  EXPECT_THAT(third.read_to("connections\n"), StartsWith("HTTP/1.1 503"));

  first.send("GET /never-ends");
  EXPECT_EQ(first.read_to("<never>"), "<closed>");
}

TEST(Server, LeavesRoomBesideStreams) {
  RunningServer server({.connections = 4});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->get("/stream");
    clients.back()->read_to("first\n");
  }

  RawClient client(server->port());
  client.get("/stream");
  EXPECT_THAT(client.read_to("already\n"), StartsWith("HTTP/1.1 503"));
  client.get("/x");
  EXPECT_THAT(client.read_to("GET /x \n"), StartsWith("HTTP/1.1 200"));
}

TEST(Server, EndsAStreamWhoseListenerGoesOnTalking) {
  RunningServer server;
  RawClient client(server->port());
  client.get("/stream");
  client.read_to("first\n");

  client.get("/more");

  EXPECT_EQ(client.read_to("<never>"), "<closed>");
}

TEST(Server, SaysThatAPortIsTaken) {
  const Server server({}, [](const ServerRequest&) { return ServerResponse{}; });
  try {
    const Server second({.port = server.port()},
                        [](const ServerRequest&) { return ServerResponse{}; });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::busy);
  }
}

}  // namespace
}  // namespace pgrevive::http
