#pragma once

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/guarded.h"

namespace pgrevive::test {

// A request as it came over the wire.
struct HttpRequest {
  std::string method;
  std::string target;                          // path and query, as sent
  std::map<std::string, std::string> headers;  // names in lower case
  int connection = 0;                          // counted from 1: equal numbers, same connection

  std::string path() const { return target.substr(0, target.find('?')); }
  std::string query() const {
    const auto mark = target.find('?');
    return mark == std::string::npos ? "" : target.substr(mark + 1);
  }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

// What to do after the bytes of an answer.
enum class After {
  keep,   // wait for the next request on the connection
  close,  // end it in good order
  reset,  // RST, as from a server that died
  stall,  // send nothing more and keep it open, until the client gives up
};

struct HttpAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<std::string> raw;  // sent as it stands instead of all the others
  // How much of the body is sent. Content-Length tells of the whole body all the same, unless the
  // headers hold one or Transfer-Encoding.
  std::optional<std::size_t> cut_after;
  After after = After::keep;
  bool with_length = true;
};

// An HTTP server for tests on a loopback port, one thread a connection. Either a function answers
// every request, or a script holds the answers in order:
//
//   ScriptedHttpServer server{{.status = 503}, {.body = "hello"}};
//   ... GET server.url("/x") ...
//   EXPECT_EQ(server.take_requests().size(), 2);
//
// A request beyond the script is answered with 599, which no client takes for success.
class ScriptedHttpServer {
 public:
  using Answerer = std::function<HttpAnswer(const HttpRequest&)>;

  explicit ScriptedHttpServer(Answerer answerer) : answerer_(std::move(answerer)) { start(); }
  ScriptedHttpServer(std::initializer_list<HttpAnswer> script) {
    auto left = std::make_shared<Guarded<std::vector<HttpAnswer>>>(std::vector<HttpAnswer>(script));
    answerer_ = [left](const HttpRequest&) {
      auto answers = left->lock();
      if (answers->empty()) return HttpAnswer{.status = 599, .body = "beyond the script"};
      HttpAnswer answer = std::move(answers->front());
      answers->erase(answers->begin());
      return answer;
    };
    start();
  }
  ScriptedHttpServer(const ScriptedHttpServer&) = delete;
  ScriptedHttpServer& operator=(const ScriptedHttpServer&) = delete;

  ~ScriptedHttpServer() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (const auto& [fd, thread] : *connections_.lock()) ::shutdown(fd->get(), SHUT_RDWR);
    connections_.lock()->clear();  // joins
  }

  int port() const { return port_; }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::string url(const std::string& path) const { return endpoint() + path; }

  // What was asked since the last call, in order of arrival.
  std::vector<HttpRequest> take_requests() { return std::exchange(*requests_.lock(), {}); }
  int connections() const { return accepted_; }

 private:
  void start() {
    // A proxy that the environment names must not see our requests.
    ::setenv("no_proxy", "*", 1);
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (!listener_ || ::bind(listener_.get(), generic, length) != 0 ||
        ::listen(listener_.get(), 64) != 0 ||
        ::getsockname(listener_.get(), generic, &length) != 0) {
      throw system_error(errno, "cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { accept_all(); });
  }

  void accept_all() {
    for (;;) {
      auto fd = std::make_shared<Fd>(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (stopping_ || !*fd) return;
      const int number = ++accepted_;
      connections_.lock()->emplace_back(fd, std::jthread([this, fd, number] {
                                          serve(fd->get(), number);
                                          ::shutdown(fd->get(), SHUT_RDWR);
                                        }));
    }
  }

  void serve(int fd, int number) {
    std::string pending;
    for (;;) {
      const auto request = receive(fd, pending, number);
      if (!request) return;
      requests_.lock()->push_back(*request);
      const HttpAnswer answer = answerer_(*request);
      if (!send_answer(fd, *request, answer)) return;
      if (answer.after == After::keep) continue;
      if (answer.after == After::stall) {
        char byte;
        while (::recv(fd, &byte, 1, 0) > 0) {
        }
      }
      if (answer.after == After::reset) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        // shutdown() would send FIN; connecting to nothing makes the kernel send RST now.
        sockaddr nowhere{};
        nowhere.sa_family = AF_UNSPEC;
        ::connect(fd, &nowhere, sizeof nowhere);
      }
      return;
    }
  }

  static std::optional<HttpRequest> receive(int fd, std::string& pending, int number) {
    std::size_t end;
    while ((end = pending.find("\r\n\r\n")) == std::string::npos) {
      // A TLS handshake, which a script can answer with plain text.
      if (pending.starts_with('\x16')) {
        pending.clear();
        return HttpRequest{.method = "TLS", .connection = number};
      }
      char buffer[4096];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return {};
      pending.append(buffer, static_cast<std::size_t>(got));
    }
    const std::string head = pending.substr(0, end + 2);
    pending.erase(0, end + 4);

    HttpRequest request;
    request.connection = number;
    std::size_t at = 0;
    for (bool first = true; at < head.size(); first = false) {
      const auto line_end = head.find("\r\n", at);
      const std::string line = head.substr(at, line_end - at);
      at = line_end + 2;
      if (first) {
        const auto space = line.find(' ');
        request.method = line.substr(0, space);
        request.target = line.substr(space + 1, line.rfind(' ') - space - 1);
        continue;
      }
      const auto colon = line.find(':');
      std::string name = line.substr(0, colon);
      std::ranges::transform(name, name.begin(), [](char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      });
      request.headers[name] = line.substr(std::min(line.size(), colon + 2));
    }
    return request;
  }

  static bool send_answer(int fd, const HttpRequest& request, const HttpAnswer& answer) {
    if (answer.raw) return send_all(fd, *answer.raw);
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " Scripted\r\n";
    bool framed = !answer.with_length;
    for (const auto& [name, value] : answer.headers) {
      text += name + ": " + value + "\r\n";
      framed = framed || name == "Content-Length" || name == "Transfer-Encoding";
    }
    if (!framed) text += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
    text += "\r\n";
    if (request.method != "HEAD") {
      text += answer.body.substr(0, answer.cut_after.value_or(answer.body.size()));
    }
    return send_all(fd, text);
  }

  static bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  Answerer answerer_;
  Fd listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> accepted_ = 0;
  Guarded<std::vector<HttpRequest>> requests_;
  Guarded<std::vector<std::pair<std::shared_ptr<Fd>, std::jthread>>> connections_;
  std::jthread acceptor_;
};

}  // namespace pgrevive::test
