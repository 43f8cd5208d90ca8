#include "storage/s3/transfer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::storage::s3 {
namespace {

std::string etag_of(const http::Response& head) {
  const std::string* etag = head.find("etag");
  return etag == nullptr ? std::string() : *etag;
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return {};
  text.remove_prefix(kUnit.size());
  const auto dash = text.find('-');
  const auto slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return {};
  const auto first = parse_unsigned(text.substr(0, dash));
  const auto last = parse_unsigned(text.substr(dash + 1, slash - dash - 1));
  const auto total = parse_unsigned(text.substr(slash + 1));
  if (!first || !last || !total || *first > *last || *last >= *total) return {};
  return ContentRange{.first = *first, .last = *last, .total = *total};
}

Transfer::Transfer(std::string object, std::optional<Range> range)
    : object_(std::move(object)),
      ranged_(range.has_value()),
      start_(range ? range->offset : 0),
      reached_(start_) {
  if (range) end_ = range->offset + range->length;
}

std::vector<http::Header> Transfer::headers() const {
  std::vector<http::Header> headers;
  if (ranged_ || resuming()) {
    headers.push_back({"Range", end_ ? fmt::format("bytes={}-{}", reached_, *end_ - 1)
                                     : fmt::format("bytes={}-", reached_)});
  }
  // A weak tag never satisfies If-Match; expect_same_object() compares it all the same.
  if (resuming() && !etag_.empty() && !etag_.starts_with("W/")) {
    headers.push_back({"If-Match", etag_});
  }
  return headers;
}

void Transfer::expect_same_object(const http::Response& head) const {
  const std::string etag = etag_of(head);
  if (!etag_.empty() && !etag.empty() && etag != etag_) {
    throw Error(ErrorKind::corrupt, fmt::format("{} was replaced while it was being read", object_))
        .with_hint("nothing may write to a backup; run the command again");
  }
}

void Transfer::begin(const http::Response& head) {
  const auto length = head.content_length();
  if (!resuming()) {
    // Nothing has been passed on yet, so this answer may be about another version than the last.
    etag_ = etag_of(head);
    total_.reset();
    if (!ranged_) end_.reset();
  }
  expect_same_object(head);

  if (head.status == 200 && !ranged_ && !resuming()) {
    if (!head.has_framed_body()) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("the answer to {} does not say how long it is, so a cut one would "
                              "look whole",
                              object_))
          .with_hint("is there a proxy before the S3 server that removes Content-Length?");
    }
    end_ = length;
    total_ = length;
    return;
  }
  if (head.status == 200) {
    // A server may answer a range that is the whole object with the whole object.
    if (reached_ == 0 && length && *length == *end_) return;
    throw Error(ErrorKind::unsupported,
                fmt::format("the server answered a request for the bytes from {} on of {} with the "
                            "whole object",
                            reached_, object_))
        .with_hint("the S3 server, or a proxy before it, ignores Range requests");
  }

  const std::string* text = head.find("content-range");
  const auto range = text == nullptr ? std::nullopt : parse_content_range(*text);
  const std::string found = text == nullptr ? "none" : "'" + printable(*text) + "'";
  const std::string asked = end_ ? fmt::format("bytes {} to {}", reached_, *end_ - 1)
                                 : fmt::format("the bytes from {} on", reached_);
  if (range && range->first == reached_ && end_ && range->last + 1 < *end_ &&
      range->last + 1 == range->total) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{} has {} bytes and ends before the range to byte {} does", object_,
                            range->total, *end_));
  }
  const bool fits = range && (ranged_ || resuming()) && range->first == reached_ &&
                    range->last + 1 == end_.value_or(range->total) &&
                    (!total_ || *total_ == range->total) &&
                    (!length || *length == range->last - range->first + 1);
  if (!fits) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the server was asked for {} of {} and answered with others: "
                            "Content-Range is {}",
                            asked, object_, found));
  }
  total_ = range->total;
  end_ = range->last + 1;
}

void Transfer::advance(std::uint64_t bytes) {
  if (end_ && bytes > *end_ - reached_) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the server sent more bytes of {} than it announced", object_));
  }
  reached_ += bytes;
}

}  // namespace pgrevive::storage::s3
