#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wal/record_format.h"

namespace pgrevive::wal {

// The form of records that end a transaction (access/xact.h), the same from PostgreSQL 10 to 18 as
// far as it is read here.

inline constexpr std::uint8_t kManagerXact = 1;
inline constexpr std::uint8_t kXactMask = 0x70;
inline constexpr std::uint8_t kXactCommit = 0x00;
inline constexpr std::uint8_t kXactAbort = 0x20;
inline constexpr std::uint8_t kXactCommitPrepared = 0x30;
inline constexpr std::uint8_t kXactAbortPrepared = 0x40;

// Header, origin, top-level transaction, length of the main data, and the time it begins with.
inline constexpr std::size_t kTransactionHeadSize = kRecordHeaderSize + 3 + 5 + 5 + 8;

// PostgreSQL counts from 2000-01-01.
inline constexpr std::int64_t kPostgresEpoch = 946684800'000000;

inline bool ends_transaction(ByteView header) {
  if (record_manager(header) != kManagerXact) return false;
  switch (record_info(header) & kXactMask) {
    case kXactCommit:
    case kXactAbort:
    case kXactCommitPrepared:
    case kXactAbortPrepared:
      return true;
    default:
      return false;
  }
}

// Of a record that ends a transaction.
inline bool commits(ByteView header) {
  const auto kind = record_info(header) & kXactMask;
  return kind == kXactCommit || kind == kXactCommitPrepared;
}

// No clock was ever set beyond: the year 2200, where nanoseconds still fit into 64 bits.
inline constexpr std::int64_t kLatestTime = 7'258'118'400'000'000;

// Microseconds since 1970 of the timestamp there, if there is one that can be.
inline std::optional<std::int64_t> time_at(ByteView bytes, std::size_t at) {
  if (at + 8 > bytes.size()) return {};
  const auto time = static_cast<std::int64_t>(load_le<std::uint64_t>(bytes, at));
  if (time < 0 || time > kLatestTime - kPostgresEpoch) return {};
  return time + kPostgresEpoch;
}

}  // namespace pgrevive::wal
