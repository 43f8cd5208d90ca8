#include "http/server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <list>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/guarded.h"

namespace pgrevive::http {
namespace {

using Clock = std::chrono::steady_clock;

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Answer";
  }
}

Fd listen_on(const std::string& address, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    throw Error(ErrorKind::usage, "'" + address + "' is not an IP address to listen on");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    throw system_error(errno, "cannot make a socket");
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), 64) != 0) {
    const auto what = fmt::format("cannot listen on {} port {}", address, port);
    if (errno == EADDRINUSE) throw Error(ErrorKind::busy, what + ": the port is taken");
    throw system_error(errno, what);
  }
  return fd;
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw system_error(errno, "cannot ask a socket for its port");
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port)
             : ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

struct Connection {
  Connection(std::uint64_t number, Fd socket) : id(number), fd(std::move(socket)) {}

  std::uint64_t id;  // a job may find that the connection it works for is gone
  Fd fd;
  std::string in;
  std::shared_ptr<const std::string> out;  // being sent
  std::size_t sent = 0;
  std::shared_ptr<const std::string> next;  // streams: what was published meanwhile
  bool stream = false;
  bool working = false;  // a job finds its answer
  bool head_only = false;
  bool keep = true;  // for another request, once `out` has gone
  bool gone = false;
  Clock::time_point deadline;
};

}  // namespace

class Server::Loop {
 public:
  Loop(ServerOptions options, Handler handler)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listener_(listen_on(options_.address, options_.port)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_) throw system_error(errno, "cannot make an event");
  }

  int port() const { return port_of(listener_.get()); }
  std::size_t listeners() const { return listeners_; }

  void publish(std::string text) {
    inbox_.lock()->published = std::make_shared<const std::string>(std::move(text));
    wake();
  }

  void run(const std::stop_token& stop) {
    const std::stop_callback woken(stop, [this] { wake(); });
    while (!stop.stop_requested()) {
      wait();
      take_inbox();
      for (auto& connection : connections_) look(connection);
      accept_new();
      connections_.remove_if([](const Connection& connection) { return connection.gone; });
      std::size_t streams = 0;
      for (const auto& connection : connections_) streams += connection.stream ? 1 : 0;
      listeners_ = streams;
    }
  }

 private:
  struct Done {
    std::uint64_t connection = 0;
    ServerResponse response;
  };
  struct Inbox {
    std::shared_ptr<const std::string> published;
    std::deque<Done> done;
  };

  ServerResponse refused(int status, const std::string& reason) const {
    if (options_.refusal) return options_.refusal(status, reason);
    return {.status = status, .body = reason + "\n"};
  }

  void wake() const {
    const std::uint64_t one = 1;
    // A full counter wakes as well.
    [[maybe_unused]] const auto ignored = ::write(wake_.get(), &one, sizeof one);
  }

  void wait() {
    polled_.clear();
    polled_.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
    polled_.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
    auto until = Clock::now() + std::chrono::seconds(60);
    for (const auto& connection : connections_) {
      // While an answer is on its way only the end of the connection is of interest.
      const bool sending = connection.out != nullptr;
      const short events = sending ? POLLOUT : connection.working ? 0 : POLLIN;
      polled_.push_back({.fd = connection.fd.get(), .events = events, .revents = 0});
      if (has_deadline(connection)) until = std::min(until, connection.deadline);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (::poll(polled_.data(), polled_.size(), static_cast<int>(std::max<long>(left, 0))) < 0) {
      for (auto& entry : polled_) entry.revents = 0;  // a signal
    }
    std::size_t i = 2;
    for (auto& connection : connections_) {
      if ((polled_[i++].revents & (POLLERR | POLLNVAL)) != 0) connection.gone = true;
    }
  }

  static bool has_deadline(const Connection& connection) {
    return !connection.working && (!connection.stream || connection.out != nullptr);
  }

  void take_inbox() {
    std::uint64_t ignored = 0;
    while (::read(wake_.get(), &ignored, sizeof ignored) > 0) {
    }
    Inbox inbox = std::exchange(*inbox_.lock(), Inbox{});
    for (auto& done : inbox.done) {
      for (auto& connection : connections_) {
        if (connection.id != done.connection) continue;
        connection.working = false;
        answer(connection, std::move(done.response));
      }
    }
    std::erase_if(jobs_, [](const Job& job) { return job.over->load(); });
    if (!inbox.published) return;
    for (auto& connection : connections_) {
      if (connection.stream) connection.next = inbox.published;
    }
  }

  void look(Connection& connection) {
    if (connection.gone) return;
    if (has_deadline(connection) && Clock::now() >= connection.deadline) {
      connection.gone = true;
      return;
    }
    send(connection);
    if (connection.gone || connection.working || connection.out) return;
    receive(connection);
    send(connection);
  }

  void accept_new() {
    for (;;) {
      Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) return;
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto& connection = connections_.emplace_back(++last_id_, std::move(fd));
      connection.deadline = Clock::now() + options_.idle;
      if (connections_.size() > options_.connections) {
        connection.keep = false;
        answer(connection, refused(503, "too many connections"));
        send(connection);
      }
    }
  }

  void receive(Connection& connection) {
    std::array<char, 16u << 10> buffer;
    for (;;) {
      const auto size = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (size <= 0) {
        connection.gone = true;
        return;
      }
      if (connection.stream) {
        connection.gone = true;  // nothing can be asked for any more
        return;
      }
      connection.in.append(buffer.data(), static_cast<std::size_t>(size));
      if (take_request(connection)) return;
    }
  }

  // True if there is something to answer.
  bool take_request(Connection& connection) {
    auto parsed = parse_request(connection.in, options_.limits);
    if (parsed.state == ParsedRequest::State::incomplete) return false;
    if (parsed.state == ParsedRequest::State::refused) {
      connection.keep = false;
      answer(connection, refused(parsed.status, parsed.reason));
      return true;
    }
    connection.in.erase(0, parsed.consumed);
    connection.keep = parsed.request.keep_alive;
    connection.head_only = parsed.request.method == "HEAD";
    auto response = handler_(parsed.request);
    if (response.later)
      begin_job(connection, std::move(response.later));
    else
      answer(connection, std::move(response));
    return true;
  }

  void begin_job(Connection& connection, std::function<ServerResponse()> work) {
    std::erase_if(jobs_, [](const Job& job) { return job.over->load(); });
    if (jobs_.size() >= options_.jobs) {
      answer(connection, refused(503, "too much to do at once; try again"));
      return;
    }
    auto over = std::make_shared<std::atomic<bool>>(false);
    try {
      jobs_.push_back(
          {.over = over,
           .thread = std::jthread([this, over, to = connection.id, run = std::move(work)] {
             ServerResponse response;
             try {
               response = run();
             } catch (const std::exception& error) {
               response = refused(500, error.what());
             }
             inbox_.lock()->done.push_back({.connection = to, .response = std::move(response)});
             *over = true;
             wake();
           })});
    } catch (const std::system_error&) {  // no thread to be had now
      answer(connection, refused(503, "too much to do at once; try again"));
      return;
    }
    connection.working = true;
  }

  bool has_room_for_stream() const {
    const auto streams = std::ranges::count_if(
        connections_, [](const Connection& connection) { return connection.stream; });
    return static_cast<std::size_t>(streams) < options_.connections * 3 / 4;
  }

  void answer(Connection& connection, ServerResponse response) {
    if (response.stream && !has_room_for_stream())
      response = refused(503, "too many listen already");
    connection.stream = response.stream && !connection.head_only;
    std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                                   reason_of(response.status), response.type);
    for (const auto& header : response.headers)
      text += fmt::format("{}: {}\r\n", header.name, header.value);
    if (!response.stream) text += fmt::format("Content-Length: {}\r\n", response.body.size());
    if (response.stream) connection.keep = false;
    text += connection.keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    if (!connection.head_only) text += response.body;
    connection.out = std::make_shared<const std::string>(std::move(text));
    connection.sent = 0;
    connection.deadline = Clock::now() + options_.idle;
  }

  void send(Connection& connection) {
    while (!connection.gone) {
      if (!connection.out && connection.next) {
        connection.out = std::exchange(connection.next, nullptr);
        connection.sent = 0;
        connection.deadline = Clock::now() + options_.idle;
      }
      if (!connection.out) return;
      const auto& text = *connection.out;
      const auto size = ::send(connection.fd.get(), text.data() + connection.sent,
                               text.size() - connection.sent, MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (size < 0) {
        connection.gone = true;
        return;
      }
      connection.sent += static_cast<std::size_t>(size);
      if (connection.sent < text.size()) continue;
      connection.out.reset();
      if (connection.stream) continue;
      if (!connection.keep) {
        close_in_order(connection);
        return;
      }
      connection.deadline = Clock::now() + options_.idle;
      // A second request may have come with the first.
      if (!connection.in.empty()) take_request(connection);
    }
  }

  // What is still unread when a socket is closed makes the system throw away what was sent. Nobody
  // is listened to for ever, though.
  static void close_in_order(Connection& connection) {
    ::shutdown(connection.fd.get(), SHUT_WR);
    std::array<char, 4096> buffer;
    for (int i = 0; i < 64; ++i)
      if (::recv(connection.fd.get(), buffer.data(), buffer.size(), 0) <= 0) break;
    connection.gone = true;
  }

  struct Job {
    std::shared_ptr<std::atomic<bool>> over;
    std::jthread thread;
  };

  ServerOptions options_;
  Handler handler_;
  Fd listener_;
  Fd wake_;
  std::list<Connection> connections_;
  std::uint64_t last_id_ = 0;
  std::vector<pollfd> polled_;
  std::atomic<std::size_t> listeners_ = 0;
  Guarded<Inbox> inbox_;
  std::vector<Job> jobs_;  // goes first, and waits for them
};

Server::Server(ServerOptions options, Handler handler)
    : loop_(std::make_unique<Loop>(std::move(options), std::move(handler))) {}
Server::~Server() = default;

int Server::port() const { return loop_->port(); }
void Server::run(const std::stop_token& stop) { loop_->run(stop); }
void Server::publish(std::string text) { loop_->publish(std::move(text)); }
std::size_t Server::listeners() const { return loop_->listeners(); }

}  // namespace pgrevive::http
