#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/client.h"
#include "storage/storage.h"

namespace pgrevive::storage::s3 {

// "bytes 0-9/443" of a Content-Range header; empty if it is anything else.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;   // inclusive, as on the wire
  std::uint64_t total = 0;  // size of the object
};
std::optional<ContentRange> parse_content_range(std::string_view text);

// One object, or a range of it, on its way through as many requests as it takes: what to ask for
// next, and whether an answer is exactly that. It decides and holds no connection.
//
// The server's word is checked against what was asked, because a wrong answer with the right length
// is a corrupt file that only its checksum would show, much later and without the reason.
class Transfer {
 public:
  // A range has a length above zero; HTTP cannot ask for nothing.
  Transfer(std::string object, std::optional<Range> range);

  // Headers for the next request: none for a whole object from its start, Range otherwise, and
  // If-Match when resuming, so that two versions of an object are never glued together.
  std::vector<http::Header> headers() const;

  // Takes the head of an answer with status 200 or 206, before any of its bytes. Throws
  // Error{corrupt} or Error{unsupported} if the bytes to come are not the ones that were asked for.
  void begin(const http::Response& head);

  // Takes `bytes` more. Throws Error{corrupt} beyond the end.
  void advance(std::uint64_t bytes);

  std::uint64_t reached() const { return reached_; }
  // Whether everything is there, given that the last answer came to its end.
  bool complete() const { return !end_ || reached_ == *end_; }

 private:
  bool resuming() const { return reached_ > start_; }
  void expect_same_object(const http::Response& head) const;

  std::string object_;  // for messages
  bool ranged_;
  std::uint64_t start_;
  std::uint64_t reached_;
  std::optional<std::uint64_t> end_;  // exclusive
  std::optional<std::uint64_t> total_;
  std::string etag_;  // of the answer that the first byte came from
};

}  // namespace pgrevive::storage::s3
