#include "http/server_request.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace pgrevive::http {
namespace {

using State = ParsedRequest::State;

// What a method or the name of a header may be made of.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

ParsedRequest refused(int status, const char* reason) {
  return {.state = State::refused, .status = status, .reason = reason};
}

// "GET /path?query HTTP/1.1". Empty: it is none; the version is checked by the caller.
struct RequestLine {
  std::string_view method;
  std::string_view target;
  std::string_view version;
};
std::optional<RequestLine> split_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {};
  RequestLine result{.method = line.substr(0, first),
                     .target = line.substr(first + 1, last - first - 1),
                     .version = line.substr(last + 1)};
  const bool visible =
      std::ranges::all_of(result.target, [](unsigned char c) { return c > ' ' && c < 127; });
  if (!is_token(result.method) || !visible || !result.target.starts_with('/')) return {};
  return result;
}

}  // namespace

std::optional<std::string> decode_percent(std::string_view text, bool plus_is_blank) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += plus_is_blank && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? digit_of(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? digit_of(text[i + 2]) : -1;
    if (high < 0 || low < 0) return {};
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

std::optional<std::string> ServerRequest::header(std::string_view name) const {
  const auto found = std::ranges::find_if(
      headers, [&](const Header& h) { return equal_ignoring_case(h.name, name); });
  if (found == headers.end()) return {};
  return found->value;
}

std::optional<std::string> ServerRequest::parameter(std::string_view name) const {
  for (const auto& part : split(query, '&')) {
    const auto equals = part.find('=');
    if (decode_percent(part.substr(0, equals), true) != name) continue;
    return equals == std::string::npos ? std::string()
                                       : decode_percent(part.substr(equals + 1), true);
  }
  return {};
}

ParsedRequest parse_request(std::string_view bytes, const RequestLimits& limits) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const auto end = bytes.find(kEnd);
  // With its end, or the same head would be taken whole and refused in pieces.
  if ((end == std::string_view::npos ? bytes.size() : end + kEnd.size()) > limits.head_bytes)
    return refused(431, "the head of the request is too long");
  if (end == std::string_view::npos) return {};

  ParsedRequest parsed{.state = State::complete};
  auto& request = parsed.request;
  const auto head = bytes.substr(0, end);
  const auto line_end = head.find("\r\n");
  const auto line = split_line(head.substr(0, line_end));
  if (!line) return refused(400, "the request line cannot be read");
  if (line->version != "HTTP/1.1" && line->version != "HTTP/1.0")
    return refused(505, "only HTTP/1.1 is spoken here");
  request.method = line->method;
  const auto mark = line->target.find('?');
  const auto path = decode_percent(line->target.substr(0, mark));
  if (!path || path->find('\0') != std::string::npos)
    return refused(400, "the path cannot be read");
  request.path = *path;
  if (mark != std::string_view::npos) request.query = line->target.substr(mark + 1);
  request.keep_alive = line->version == "HTTP/1.1";

  std::size_t length = 0;
  int hosts = 0;
  int lengths = 0;
  auto rest = line_end == std::string_view::npos ? std::string_view() : head.substr(line_end + 2);
  while (!rest.empty()) {
    const auto stop = rest.find("\r\n");
    const auto entry = rest.substr(0, stop);
    rest = stop == std::string_view::npos ? std::string_view() : rest.substr(stop + 2);
    const auto colon = entry.find(':');
    if (colon == std::string_view::npos || !is_token(entry.substr(0, colon)) ||
        entry.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
      return refused(400, "a header cannot be read");
    request.headers.push_back({.name = std::string(entry.substr(0, colon)),
                               .value = std::string(trim(entry.substr(colon + 1)))});
    const auto& header = request.headers.back();
    if (equal_ignoring_case(header.name, "host")) ++hosts;
    if (equal_ignoring_case(header.name, "transfer-encoding"))
      return refused(501, "a body has to come with its length");
    if (equal_ignoring_case(header.name, "content-length")) {
      ++lengths;
      const auto value = parse_unsigned(header.value);
      if (!value) return refused(400, "the length of the body cannot be read");
      if (*value > limits.body_bytes) return refused(413, "the body is too long");
      length = *value;
    }
    if (equal_ignoring_case(header.name, "connection")) {
      if (equal_ignoring_case(header.value, "close")) request.keep_alive = false;
      if (equal_ignoring_case(header.value, "keep-alive")) request.keep_alive = true;
    }
  }
  if (hosts > 1 || (hosts == 0 && line->version == "HTTP/1.1"))
    return refused(400, "a request names one host");
  if (lengths > 1) return refused(400, "a request has one length");
  if (bytes.size() - end - 4 < length) return {};
  request.body = bytes.substr(end + kEnd.size(), length);
  parsed.consumed = end + kEnd.size() + length;
  return parsed;
}

}  // namespace pgrevive::http
