#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.h"

namespace pgrevive::http {

// A request as a server takes it.
struct ServerRequest {
  std::string method;  // "GET"
  std::string path;    // decoded; begins with '/'
  std::string query;   // as sent, without the '?'
  std::vector<Header> headers;
  std::string body;
  bool keep_alive = true;

  // The first header of that name, in whatever case; empty if there is none.
  std::optional<std::string> header(std::string_view name) const;
  // A value of the query, decoded; empty if it is not there.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct RequestLimits {
  std::size_t head_bytes = 16u << 10;  // with the empty line at its end
  std::size_t body_bytes = 64u << 10;
};

// What the bytes that a connection has brought so far amount to.
struct ParsedRequest {
  enum class State { incomplete, complete, refused };
  State state = State::incomplete;
  ServerRequest request;     // complete
  std::size_t consumed = 0;  // complete: the bytes of it
  int status = 0;            // refused: the HTTP status of the answer, and why
  std::string reason;
};

// Takes the part of HTTP/1.1 that browsers, curl and Prometheus speak, and refuses what two parties
// could read in two ways: two lengths, folded lines, bare line ends. Pure.
ParsedRequest parse_request(std::string_view bytes, const RequestLimits& limits = {});

// "%41+b" as "A+b"; empty if a '%' is followed by anything but two digits. With `plus_is_blank` as
// in a query.
std::optional<std::string> decode_percent(std::string_view text, bool plus_is_blank = false);

}  // namespace pgrevive::http
