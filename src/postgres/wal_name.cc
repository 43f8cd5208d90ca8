#include "postgres/wal_name.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

// The 16 digits after the timeline are the upper half of an LSN and the number of the segment
// within those 4 GiB. With 16 MiB segments the last eight digits end at 000000FF, with 1 GiB at
// 00000003.
std::uint64_t segments_per_4gib(std::uint32_t segment_size) {
  return (std::uint64_t{1} << 32) / segment_size;
}

// PostgreSQL writes and recognises upper case only, so "000000010000000a..." is no WAL file.
bool is_hex(std::string_view text, std::size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
         });
}

std::uint32_t hex_value(std::string_view digits) {
  std::uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

}  // namespace

WalSegment WalSegment::parse(std::string_view name, std::uint32_t segment_size) {
  if (!is_segment_size(segment_size)) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{} bytes is not a size of WAL segments", segment_size));
  }
  if (!is_hex(name, 24)) {
    throw Error(ErrorKind::corrupt,
                fmt::format("'{}' is not the name of a WAL segment", printable(name)));
  }
  const auto timeline = Timeline::parse_hex(name.substr(0, 8));
  const std::uint64_t high = hex_value(name.substr(8, 8));
  const std::uint64_t low = hex_value(name.substr(16, 8));
  const std::uint64_t per = segments_per_4gib(segment_size);
  if (low >= per) {
    throw Error(ErrorKind::corrupt, fmt::format("'{}' is not the name of a WAL segment of {} MiB",
                                                name, segment_size >> 20))
        .with_hint("the cluster and its archive disagree about the size of WAL segments");
  }
  return {timeline, high * per + low, segment_size};
}

WalSegment WalSegment::containing(Timeline timeline, Lsn lsn, std::uint32_t segment_size) {
  return {timeline, lsn.value() / segment_size, segment_size};
}

std::string WalSegment::name() const {
  const std::uint64_t per = segments_per_4gib(segment_size_);
  return fmt::format("{:08X}{:08X}{:08X}", timeline_.value(), number_ / per, number_ % per);
}

WalFileKind wal_file_kind(std::string_view name) {
  if (is_hex(name, 24)) return WalFileKind::segment;
  if (name.size() == 16 && is_hex(name.substr(0, 8), 8) && name.ends_with(".history")) {
    return WalFileKind::history;
  }
  if (name.size() > 24 && is_hex(name.substr(0, 24), 24)) {
    const auto rest = name.substr(24);
    if (rest == ".partial") return WalFileKind::partial;
    if (rest.size() == 16 && rest[0] == '.' && is_hex(rest.substr(1, 8), 8) &&
        rest.ends_with(".backup")) {
      return WalFileKind::backup_history;
    }
  }
  return WalFileKind::other;
}

bool is_segment_size(std::uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= (1u << 20) && bytes <= (1u << 30);
}

}  // namespace pgrevive::postgres
