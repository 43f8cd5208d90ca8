#include "wal/transaction_times.h"

#include <algorithm>

#include "wal/record_format.h"

namespace pgrevive::wal {

namespace {

// As much of a record as is read: header, origin, length of the main data, time.
constexpr std::size_t kHeadSize = 40;

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

void TransactionTimes::write(ByteView bytes) {
  while (!bytes.empty() && !ended_) {
    const auto wanted = page_.size() < kLongHeaderSize ? kLongHeaderSize : page_size_;
    const auto part = bytes.first(std::min(bytes.size(), wanted - page_.size()));
    page_.insert(page_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (page_.size() < wanted) return;
    if (wanted == kLongHeaderSize && first_page_) {
      page_size_ = load_le<std::uint32_t>(page_, 36);
      const bool is_first = (load_le<std::uint16_t>(page_, 2) & kLongHeader) != 0;
      ended_ = !is_first || page_size_ <= kLongHeaderSize || page_size_ > kLargestPage;
    }
    if (page_.size() == page_size_) read_page();
  }
}

void TransactionTimes::read_page() {
  const auto info = load_le<std::uint16_t>(page_, 2);
  const auto address = load_le<std::uint64_t>(page_, 8);
  if (first_page_) {
    position_ = address;
    skip_ = aligned(load_le<std::uint32_t>(page_, 16));
  } else if (address != position_) {
    ended_ = true;  // as it was when the file was last in use
    return;
  } else if ((info & kFirstIsContinued) == 0 && (skip_ > 0 || !head_.empty())) {
    // The server crashed in the middle of a record and wrote another one after it.
    skip_ = 0;
    head_.clear();
    time_.reset();
    previous_ = 0;
  }
  first_page_ = false;
  const auto header_size = (info & kLongHeader) != 0 ? kLongHeaderSize : kShortHeaderSize;
  position_ += header_size;
  read_records(ByteView(page_).subspan(header_size));
  page_.clear();
}

void TransactionTimes::read_records(ByteView bytes) {
  while (!bytes.empty() && !ended_) {
    if (skip_ > 0) {
      const auto size = std::min<std::uint64_t>(skip_, bytes.size());
      bytes = bytes.subspan(size);
      position_ += size;
      skip_ -= size;
      if (skip_ == 0) end_record();
      continue;
    }
    if (head_.empty()) begun_ = position_;
    const bool sized = head_.size() >= kRecordHeaderSize;
    const std::size_t wanted =
        sized ? std::min<std::size_t>(kHeadSize, record_length(head_))
              : kRecordHeaderSize;
    const auto part = bytes.first(std::min(bytes.size(), wanted - head_.size()));
    head_.insert(head_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    position_ += part.size();
    if (!sized && head_.size() == kRecordHeaderSize && !record_follows(head_, previous_)) ended_ = true;
    if (head_.size() >= kRecordHeaderSize) read_head();
  }
}

// Once as much of the record is there as is ever read of one.
void TransactionTimes::read_head() {
  const std::uint64_t length = record_length(head_);
  if (ended_ || head_.size() < std::min<std::uint64_t>(kHeadSize, length)) return;
  if (record_manager(head_) == kManagerXact && ends_transaction(record_info(head_)))
    time_ = time_in(head_);
  skip_ = aligned(length) - head_.size();
  if (skip_ == 0) end_record();
}

void TransactionTimes::end_record() {
  if (time_ && times_) {
    times_->last = *time_;
    times_->latest = std::max(times_->latest, *time_);
  } else if (time_) {
    times_ = {.first = *time_, .last = *time_, .latest = *time_};
  }
  if (!head_.empty()) previous_ = begun_;
  head_.clear();
  time_.reset();
}

}  // namespace pgrevive::wal
