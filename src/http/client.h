#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace pgrevive::http {

struct Header {
  std::string name;
  std::string value;

  bool operator==(const Header&) const = default;
};

enum class Method { get, head };

struct Request {
  Method method = Method::get;
  std::string url;  // sent as it stands: dots are not resolved and nothing is encoded again
  std::vector<Header> headers;
  // For a retry: another connection and another look-up of the host name, because the server that
  // just failed may be one of many behind it.
  bool fresh_connection = false;
  // Has Response::route filled in, also where the exchange failed. For a diagnosis: reading the
  // certificates takes time.
  bool inspect = false;
};

// What a TLS server shows of itself; empty where it says nothing. Not necessarily the truth where
// nothing was verified.
struct Certificate {
  std::string subject;  // "CN = s3.example"
  std::string issuer;
  std::optional<std::chrono::system_clock::time_point> expires;
};

// How far an exchange got on its way, and what it met there. Times count from the beginning; empty:
// it did not get that far. On a connection that was kept alive they are of no use.
struct Route {
  std::optional<std::chrono::microseconds> resolved;  // the name has an address
  std::string address;  // that TCP connected to, a proxy's where there is one; else empty
  int port = 0;
  std::optional<std::chrono::microseconds> connected;  // TCP; unknown where TLS failed after it
  std::optional<std::chrono::microseconds> secured;    // TLS
  std::vector<Certificate> certificates;               // the server's own first
};

// Why an exchange did not end the way HTTP wants it. Each has another remedy.
enum class Trouble {
  resolve,      // the host name has no address
  connect,      // nobody answers there, or not in time
  certificate,  // TLS: the server's certificate is not trusted or names another host
  tls,          // TLS: no agreement otherwise
  not_tls,      // https was asked of a server that does not speak TLS
  not_http,     // what came back is not HTTP: TLS asked for plain HTTP, or another kind of server
  stalled,      // connected, and then too few bytes for too long
  broken,       // the connection ended before the answer did
  setup,        // nothing was sent: the CA file cannot be read
};

struct Failure {
  Trouble trouble = Trouble::broken;
  std::string text;  // "failed to connect to 10.0.0.1 port 443 after 2 ms: Connection refused"
};

struct Response {
  int status = 0;  // 0 until a head has arrived
  std::vector<Header> headers;
  std::uint64_t body_bytes = 0;    // that arrived
  std::optional<Failure> failure;  // also when it broke halfway through the body
  std::optional<Route> route;      // for Request::inspect

  // The first header of that name, whatever its case; null if there is none.
  const std::string* find(std::string_view name) const;
  // Of the Content-Length header; nothing where there is none, it is no number, or it is more than
  // a file may have (2^63 - 1 bytes).
  std::optional<std::uint64_t> content_length() const;
  // Whether the message itself says where its body ends, so that a cut body cannot pass as whole.
  bool has_framed_body() const;
};

// What a Retry-After or a Date header says.
std::optional<std::chrono::milliseconds> retry_after(const Response& response,
                                                     std::chrono::system_clock::time_point now);
std::optional<std::chrono::system_clock::time_point> date(const Response& response);

struct TlsOptions {
  bool verify = true;
  std::filesystem::path ca_file;  // PEM. With both empty the system's certificates are trusted,
  std::filesystem::path ca_path;  // otherwise only these.
};

struct ClientOptions {
  TlsOptions tls;
  // Where to connect to instead of what the URL names; the URL's host stays what is asked for in
  // the request and what the certificate has to name. Empty or 0: as the URL says.
  std::string connect_host;
  int connect_port = 0;
  // Whatever the environment says of proxies: of a server on this host, that none of them reaches.
  bool no_proxy = false;
  // Name, TCP and TLS together.
  std::chrono::milliseconds connect_timeout{10'000};
  // Time spent waiting for the server (not for our own callback) in which fewer than stall_rate
  // bytes a second arrive.
  std::chrono::milliseconds stall_timeout{30'000};
  std::uint64_t stall_rate = 1024;
};

// Called with each piece of the body. The head is complete by then, so the callback can tell an
// object from an error document. What it throws ends the exchange and leaves perform().
using OnBody = std::function<void(const Response& head, ByteView bytes)>;

// HTTP/1.1 requests over connections that are kept alive: as many connections as threads call at
// once, each reused by whoever comes next. Redirects are not followed, bodies are not decoded. A
// proxy is used if the usual environment variables (https_proxy, no_proxy) say so.
//
// Any thread may call anything.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();

  // One exchange, not repeated (save that a kept-alive connection which turns out to be closed is
  // replaced unnoticed). Trouble is in Response::failure, not thrown: whether to try again is the
  // caller's to decide. Throws Error{internal} for a URL that is none, and Error{cancelled} soon
  // after a stop request, whatever it is waiting for.
  Response perform(const Request& request, const OnBody& on_body, std::stop_token stop = {}) const;

 private:
  struct Pool;
  ClientOptions options_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace pgrevive::http
