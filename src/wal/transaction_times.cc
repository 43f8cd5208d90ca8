#include "wal/transaction_times.h"

#include <algorithm>

#include "wal/record_format.h"

namespace pgrevive::wal {

namespace {

// As much of a record as is read: header, origin, top-level transaction, length of the main data,
// time.
constexpr std::size_t kHeadSize = kRecordHeaderSize + 3 + 5 + 5 + 8;

constexpr std::uint8_t kManagerXact = 1;
constexpr std::uint8_t kXactMask = 0x70;
constexpr std::uint8_t kXactCommit = 0x00;
constexpr std::uint8_t kXactAbort = 0x20;
constexpr std::uint8_t kXactCommitPrepared = 0x30;
constexpr std::uint8_t kXactAbortPrepared = 0x40;

// PostgreSQL counts from 2000-01-01.
constexpr std::int64_t kEpoch = 946684800'000000;

bool ends_transaction(std::uint8_t info) {
  switch (info & kXactMask) {
    case kXactCommit:
    case kXactAbort:
    case kXactCommitPrepared:
    case kXactAbortPrepared:
      return true;
    default:
      return false;
  }
}

// The time that the main data of a transaction's end begins with.
std::optional<std::int64_t> time_in(ByteView record) {
  const auto at = main_data_at(record);
  if (!at || *at + 8 > record.size()) return {};
  return static_cast<std::int64_t>(load_le<std::uint64_t>(record, *at)) + kEpoch;
}

}  // namespace

std::size_t TransactionTimes::wanted(ByteView header) {
  const bool ends = record_manager(header) == kManagerXact && ends_transaction(record_info(header));
  return ends ? kHeadSize : 0;
}

void TransactionTimes::record(postgres::Lsn /*begin*/, postgres::Lsn /*end*/, ByteView bytes) {
  if (record_manager(bytes) != kManagerXact || !ends_transaction(record_info(bytes))) return;
  const auto time = time_in(bytes);
  if (!time) return;
  if (!times_) times_ = {.first = *time, .last = *time, .latest = *time};
  times_->last = *time;
  times_->latest = std::max(times_->latest, *time);
}

}  // namespace pgrevive::wal
