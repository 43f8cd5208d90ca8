#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "base/bytes.h"
#include "codec/sink.h"
#include "wal/record_reader.h"

namespace pgrevive::wal {

// Reads one WAL segment and remembers when the transactions in it ended: the moments that
// PostgreSQL compares with recovery_target_time. Records that begin in an earlier segment are left
// out, and so is one that goes on in the next: nobody can replay it while that is not there.
//
// Goes by access/xact.h: the main data of a transaction's end begins with its time, from PostgreSQL
// 10 to 18. Used by one thread.
class TransactionTimes : public Sink, private RecordVisitor {
 public:
  // Microseconds since 1970 UTC.
  struct Times {
    std::int64_t first = 0;
    std::int64_t last = 0;  // of the last one in the log, which need not be the latest
    std::int64_t latest = 0;
    std::optional<std::int64_t> last_commit;  // of the last one in the log that was not undone
  };

  // `until`: those that end behind it are left out.
  explicit TransactionTimes(
      postgres::Lsn until = postgres::Lsn(std::numeric_limits<std::uint64_t>::max()))
      : until_(until) {}

  void write(ByteView bytes) override { reader_.write(bytes); }
  void finish() override {}

  // Empty: no transaction ended in what was read.
  const std::optional<Times>& times() const { return times_; }

 private:
  std::size_t wanted(ByteView header) override;
  void record(postgres::Lsn begin, postgres::Lsn end, ByteView bytes) override;

  const postgres::Lsn until_;
  RecordReader reader_{*this};
  std::optional<Times> times_;
};

}  // namespace pgrevive::wal
