#include "wal/target_records.h"

#include <algorithm>

#include "wal/transaction_record.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;

constexpr std::uint8_t kXlogRestorePoint = 0x70;
// Time, then the name with zeros behind it.
constexpr std::size_t kRestorePointSize = 8 + 64;

constexpr std::uint8_t kManagerStandby = 8;
constexpr std::uint8_t kRunningTransactions = 0x10;
// Two counts, a flag, then the next transaction and the oldest one that runs.
constexpr std::size_t kNextAt = 12;
constexpr std::size_t kOldestRunningAt = 16;

constexpr std::uint8_t kXactHasInfo = 0x80;
// What the body of a transaction's end has, in the order of the body; each but the first, second
// to last is a count and as many of that size.
constexpr std::uint32_t kHasDatabase = 1u << 0;
constexpr std::uint32_t kHasSubtransactions = 1u << 1;
constexpr std::uint32_t kHasRelations = 1u << 2;
constexpr std::uint32_t kHasDroppedStatistics = 1u << 8;
constexpr std::uint32_t kHasInvalidations = 1u << 3;
constexpr std::uint32_t kHasTwoPhase = 1u << 4;

// More of a record than this is not looked at: some hundred thousand subtransactions.
constexpr std::size_t kMost = 4u << 20;

bool is_restore_point(ByteView header) {
  return record_manager(header) == kManagerXlog &&
         (record_info(header) & kInfoMask) == kXlogRestorePoint;
}

bool is_mark(ByteView header) {
  return record_manager(header) == kManagerStandby &&
         (record_info(header) & kInfoMask) == kRunningTransactions;
}

// Reads one part of a body after the other; empty where there is no more.
class Body {
 public:
  explicit Body(ByteView bytes) : bytes_(bytes) {}

  std::optional<std::uint32_t> number() {
    if (bytes_.size() < 4) return {};
    const auto value = load_le<std::uint32_t>(bytes_, 0);
    bytes_ = bytes_.subspan(4);
    return value;
  }
  // A count and that many of `size` bytes.
  std::optional<ByteView> list(std::size_t size) {
    const auto count = number();
    if (!count || bytes_.size() / size < *count) return {};
    return skip(*count * size);
  }
  std::optional<ByteView> skip(std::size_t size) {
    if (bytes_.size() < size) return {};
    const auto part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return part;
  }

 private:
  ByteView bytes_;
};

// What the body says of other transactions than the record's own.
struct Others {
  ByteView subtransactions;
  std::optional<std::uint32_t> two_phase;
};

Others others_in(ByteView record, ByteView data, postgres::Version version) {
  Others others;
  if ((record_info(record) & kXactHasInfo) == 0) return others;
  const auto kind = record_info(record) & kXactMask;
  const bool commits = kind == kXactCommit || kind == kXactCommitPrepared;
  Body body(data);
  body.skip(8);
  const auto has = body.number().value_or(0);
  if ((has & kHasDatabase) != 0 && !body.skip(8)) return others;
  if ((has & kHasSubtransactions) != 0) {
    const auto list = body.list(4);
    if (!list) return others;
    others.subtransactions = *list;
  }
  if ((has & kHasRelations) != 0 && !body.list(12)) return others;
  if ((has & kHasDroppedStatistics) != 0 && !body.list(version.at_least(18) ? 16 : 12))
    return others;
  if (commits && (has & kHasInvalidations) != 0 && !body.list(16)) return others;
  if ((has & kHasTwoPhase) != 0) others.two_phase = body.number();
  return others;
}

bool contains(ByteView transactions, std::uint32_t wanted) {
  for (std::size_t at = 0; at + 4 <= transactions.size(); at += 4)
    if (load_le<std::uint32_t>(transactions, at) == wanted) return true;
  return false;
}

}  // namespace

bool precedes(std::uint32_t transaction, std::uint32_t other) {
  constexpr std::uint32_t kFirstNormal = 3;
  if (transaction < kFirstNormal || other < kFirstNormal) return transaction < other;
  return static_cast<std::int32_t>(transaction - other) < 0;
}

std::size_t TargetRecords::wanted(ByteView header) {
  if (wanted_.kind == WantedPoint::Kind::name) return is_restore_point(header) ? kMost : 0;
  return is_mark(header) || ends_transaction(header) ? kMost : 0;
}

void TargetRecords::record(Lsn begin, Lsn end, ByteView bytes) {
  if (wanted(bytes) == 0) return;
  const auto at = main_data_at(bytes);
  if (!at || *at > bytes.size()) return;
  const auto data = bytes.subspan(*at);
  if (wanted_.kind == WantedPoint::Kind::name) {
    restore_point(begin, end, data);
  } else if (!is_mark(bytes)) {
    transaction_end(begin, end, bytes, data);
  } else if (data.size() >= kOldestRunningAt + 4) {
    marks.push_back({.at = begin,
                     .next = load_le<std::uint32_t>(data, kNextAt),
                     .oldest_running = load_le<std::uint32_t>(data, kOldestRunningAt)});
  }
}

void TargetRecords::restore_point(Lsn begin, Lsn end, ByteView data) {
  if (data.size() < kRestorePointSize) return;
  const auto text = as_text(data.subspan(8, kRestorePointSize - 8));
  const std::string name(text.substr(0, text.find('\0')));
  const auto time = time_at(data, 0).value_or(0);
  restore_points.push_back({.name = name, .begin = begin, .end = end, .time = time});
  if (name == wanted_.name)
    points.push_back(
        {.kind = TargetPoint::Kind::restore_point, .begin = begin, .end = end, .time = time});
}

void TargetRecords::transaction_end(Lsn begin, Lsn end, ByteView record, ByteView data) {
  const auto others = others_in(record, data, version_);
  const auto kind = record_info(record) & kXactMask;
  const bool prepared = kind == kXactCommitPrepared || kind == kXactAbortPrepared;
  const std::optional<std::uint32_t> ended =
      prepared ? others.two_phase : record_transaction(record);
  if (ended == wanted_.transaction) {
    const bool commits = kind == kXactCommit || kind == kXactCommitPrepared;
    points.push_back({.kind = commits ? TargetPoint::Kind::commit : TargetPoint::Kind::abort,
                      .begin = begin,
                      .end = end,
                      .time = time_at(data, 0).value_or(0)});
  } else if (contains(others.subtransactions, wanted_.transaction)) {
    top_level = ended;
  }
}

}  // namespace pgrevive::wal
