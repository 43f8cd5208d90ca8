#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "postgres/lsn.h"

namespace pgrevive::postgres {

// One segment file of the write-ahead log. Well formed by construction.
class WalSegment {
 public:
  WalSegment(Timeline timeline, std::uint64_t number, std::uint32_t segment_size)
      : timeline_(timeline), number_(number), segment_size_(segment_size) {}

  // 24 upper-case hex digits: timeline, then the segment number split by the segment size (a power
  // of two, 1 MiB to 1 GiB). Throws Error{corrupt}.
  static WalSegment parse(std::string_view name, std::uint32_t segment_size);
  // The segment that holds the byte at `lsn`.
  static WalSegment containing(Timeline timeline, Lsn lsn, std::uint32_t segment_size);

  Timeline timeline() const { return timeline_; }
  std::uint64_t number() const { return number_; }
  std::uint32_t segment_size() const { return segment_size_; }
  Lsn begin() const { return Lsn(number_ * segment_size_); }
  Lsn end() const { return Lsn((number_ + 1) * segment_size_); }
  WalSegment next() const { return {timeline_, number_ + 1, segment_size_}; }
  WalSegment on(Timeline timeline) const { return {timeline, number_, segment_size_}; }
  std::string name() const;
  auto operator<=>(const WalSegment&) const = default;

 private:
  Timeline timeline_;
  std::uint64_t number_;
  std::uint32_t segment_size_;
};

// What kind of file a restore_command asks for, told by its name alone.
enum class WalFileKind { segment, partial, history, backup_history, other };
WalFileKind wal_file_kind(std::string_view name);

bool is_segment_size(std::uint64_t bytes);

}  // namespace pgrevive::postgres
