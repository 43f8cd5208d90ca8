#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "codec/sink.h"

namespace pgrevive::wal {

// Reads one WAL segment and remembers when the transactions in it ended: the moments that
// PostgreSQL compares with recovery_target_time. Records that begin in an earlier segment are left
// out, and so is one that goes on in the next: nobody can replay it while that is not there.
//
// Goes by the page headers and by the headers of records (access/xlogrecord.h, xlog_internal.h,
// xact.h), which are the same from PostgreSQL 10 to 18 as far as they are read here: a record's
// length, previous position, resource manager and info, and that the main data of a transaction's
// end begins with its time. Where a record is not what follows the one before it, the log ends.
// Used by one thread.
class TransactionTimes : public Sink {
 public:
  // Microseconds since 1970 UTC.
  struct Times {
    std::int64_t first = 0;
    std::int64_t last = 0;  // of the last one in the log, which need not be the latest
    std::int64_t latest = 0;
  };

  void write(ByteView bytes) override;
  void finish() override {}

  // Empty: no transaction ended in what was read.
  const std::optional<Times>& times() const { return times_; }
  // Everything that follows is no WAL, or not readable as such.
  bool at_end() const { return ended_; }

 private:
  void read_page();
  void read_records(ByteView bytes);
  void read_head();
  void end_record();

  Bytes page_;  // as far as it was read
  std::size_t page_size_ = 8192;
  bool first_page_ = true;
  std::uint64_t position_ = 0;        // LSN of the next byte
  std::uint64_t skip_ = 0;            // bytes up to the next record
  Bytes head_;                        // the first bytes of the record under way
  std::uint64_t begun_ = 0;           // where it began
  std::uint64_t previous_ = 0;        // where the one before it began; 0: not known
  std::optional<std::int64_t> time_;  // that it ended a transaction
  bool ended_ = false;
  std::optional<Times> times_;
};

}  // namespace pgrevive::wal
