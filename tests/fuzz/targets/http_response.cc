#include <array>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/guarded.h"
#include "fuzz/fuzz.h"
#include "http/client.h"
#include "storage/s3/errors.h"
#include "storage/s3/transfer.h"

// Whatever a server answers is either a failure in words that can be shown or a response: no more
// body than came, and an object of which no byte is taken for another one. A real server on the
// loopback says it, and hangs up.
namespace {

using namespace pgrevive;

// Answers each connection with the bytes of the moment.
class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t length = sizeof(address);
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    fuzz::require(listener_ && ::bind(listener_.get(), plain, length) == 0 &&
                      ::listen(listener_.get(), 64) == 0 &&
                      ::getsockname(listener_.get(), plain, &length) == 0,
                  "a loopback server can listen");
    port_ = ntohs(address.sin_port);
    std::thread([this] { serve(); }).detach();
  }

  // Another address each time, so that the ports of closed connections do not run out.
  std::string url(unsigned turn) const {
    return "http://127.0." + std::to_string(turn / 250 % 250) + "." +
           std::to_string(turn % 250 + 1) + ":" + std::to_string(port_) + "/bucket/key";
  }
  // A copy, because a client may have turned away while it is still being sent.
  void answer(ByteView bytes) { *answer_.lock() = as_text(bytes); }

 private:
  void serve() {
    std::array<char, 4096> request{};
    while (true) {
      const Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) continue;
      std::string got;
      while (got.find("\r\n\r\n") == std::string::npos) {
        const auto count = ::recv(connection.get(), request.data(), request.size(), 0);
        if (count <= 0) break;
        got.append(request.data(), static_cast<std::size_t>(count));
      }
      const std::string answer = *answer_.lock();
      for (std::string_view left = answer; !left.empty();) {
        const auto count = ::send(connection.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (count <= 0) break;
        left.remove_prefix(static_cast<std::size_t>(count));
      }
      ::shutdown(connection.get(), SHUT_WR);
      // Until the client has hung up too: closed before, what is on its way could be lost.
      while (::recv(connection.get(), request.data(), request.size(), 0) > 0) {
      }
    }
  }

  Fd listener_;
  int port_ = 0;
  Guarded<std::string> answer_;
};

http::Response ask(Server& server, ByteView answer, http::Method method, const http::OnBody& body) {
  static unsigned turn = 0;
  server.answer(answer);
  // A client for each, or the connection of the last answer would be used again.
  const http::Client client({.connect_host = {}, .stall_timeout = std::chrono::seconds(5)});
  return client.perform({.method = method, .url = server.url(turn++), .headers = {}}, body);
}

void check_failure(const http::Response& response, std::string_view body) {
  const auto refusal = storage::s3::refuse({.doing = "read s3://bucket/key",
                                            .bucket = "bucket",
                                            .endpoint = "s3.example",
                                            .region = "eu",
                                            .tls = false},
                                           response, body, {});
  for (const std::string_view text :
       {std::string_view(refusal.error.what()), std::string_view(refusal.error.hint())}) {
    fuzz::require(printable(text, text.size() + 1) == text, "a refusal can be shown");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Never destroyed: its thread waits in accept().
  static Server& server = *new Server();
  fuzz::Source source(fuzz::input(data, size));
  const auto choice = source.number<std::uint8_t>();
  const auto answer = source.rest();

  std::optional<storage::Range> range;
  if ((choice & 1) != 0) range = storage::Range{choice / 8u, 1u + choice / 16u};
  storage::s3::Transfer transfer("key", range);
  bool begun = false;
  std::uint64_t bytes = 0;
  std::string body;
  http::Response response;
  const auto refusal = fuzz::refusal_of([&] {
    response = ask(server, answer, (choice & 2) != 0 ? http::Method::head : http::Method::get,
                   [&](const http::Response& head, ByteView piece) {
                     bytes += piece.size();
                     body += as_text(piece);
                     if (head.status != 200 && head.status != 206) return;
                     if (!begun) transfer.begin(head);
                     begun = true;
                     transfer.advance(piece.size());
                   });
  });
  if (refusal) return 0;
  fuzz::require(bytes <= answer.size(), "no more body than came");
  fuzz::require(response.body_bytes == bytes, "the body is counted");
  if (begun && range) {
    fuzz::require(transfer.reached() <= range->offset + range->length, "no byte beyond the range");
    if (transfer.complete())
      fuzz::require(bytes == range->length, "a whole range has all its bytes");
  }
  if (const auto length = response.content_length(); !response.failure && length && bytes != 0)
    fuzz::require(bytes == *length || response.find("transfer-encoding") != nullptr,
                  "a body that is cut is a failure");
  http::retry_after(response, {});
  http::date(response);
  if (response.failure || (response.status != 200 && response.status != 206))
    check_failure(response, body);
  return 0;
}
