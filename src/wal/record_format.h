#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace pgrevive::wal {

// The form of WAL pages and records (access/xlogrecord.h, xlog_internal.h), the same from
// PostgreSQL 9.5 to 18 as far as it is read here.

// xlp_info of a page that begins a segment, whose header is longer.
inline constexpr std::uint16_t kLongHeader = 0x0002;
// ... and of one that begins with the rest of a record.
inline constexpr std::uint16_t kFirstIsContinued = 0x0001;
inline constexpr std::size_t kShortHeaderSize = 24;
inline constexpr std::size_t kLongHeaderSize = 40;
inline constexpr std::size_t kSmallestPage = 1024;
inline constexpr std::size_t kLargestPage = 65536;

// A record's header: length u32, transaction u32, previous position u64, info u8, resource manager
// u8, padding, checksum u32. Records begin at multiples of eight.
inline constexpr std::size_t kRecordHeaderSize = 24;
inline constexpr std::size_t kRecordManagerAt = 17;
inline constexpr std::uint8_t kManagerXlog = 0;
inline constexpr std::uint8_t kInfoMask = 0xf0;  // the resource manager's own part of the info

inline std::uint32_t record_length(ByteView record) { return load_le<std::uint32_t>(record, 0); }
inline std::uint32_t record_transaction(ByteView record) {
  return load_le<std::uint32_t>(record, 4);
}
inline std::uint64_t record_before(ByteView record) { return load_le<std::uint64_t>(record, 8); }
inline std::uint8_t record_info(ByteView record) {
  return std::to_integer<std::uint8_t>(record[16]);
}
inline std::uint8_t record_manager(ByteView record) {
  return std::to_integer<std::uint8_t>(record[kRecordManagerAt]);
}

// Whether a header is that of a record behind the one that begins at `previous` (0: not known). Not
// so behind the log's end.
inline bool record_follows(ByteView header, std::uint64_t previous) {
  return record_length(header) >= kRecordHeaderSize &&
         (previous == 0 || record_before(header) == previous);
}

// Whether the rest of the segment was left empty.
inline bool ends_segment(ByteView header) {
  constexpr std::uint8_t kXlogSwitch = 0x40;
  return record_manager(header) == kManagerXlog && (record_info(header) & kInfoMask) == kXlogSwitch;
}

// Where the main data of a record begins, which may be behind what there is of it. Empty: the
// record has pages, or ends before.
inline std::optional<std::size_t> main_data_at(ByteView record) {
  constexpr std::uint8_t kDataShort = 255;
  constexpr std::uint8_t kDataLong = 254;
  constexpr std::uint8_t kOrigin = 253;
  constexpr std::uint8_t kTopTransaction = 252;
  for (std::size_t at = kRecordHeaderSize; at < record.size();) {
    switch (std::to_integer<std::uint8_t>(record[at])) {
      case kOrigin:
        at += 1 + 2;
        break;
      case kTopTransaction:
        at += 1 + 4;
        break;
      case kDataShort:
        return at + 1 + 1;
      case kDataLong:
        return at + 1 + 4;
      default:
        return {};
    }
  }
  return {};
}

// From a record's length to that of the space it takes.
inline std::uint64_t aligned(std::uint64_t size) { return (size + 7) / 8 * 8; }

}  // namespace pgrevive::wal
