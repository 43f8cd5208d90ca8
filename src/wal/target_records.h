#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "wal/record_reader.h"

namespace pgrevive::wal {

// A recovery target that only the records of WAL tell the place of.
struct WantedPoint {
  enum class Kind { name, transaction } kind = Kind::name;
  std::string name;               // of a restore point
  std::uint32_t transaction = 0;  // as recovery_target_xid takes it, without an epoch
};

// A record at which PostgreSQL ends recovery to such a target.
struct TargetPoint {
  enum class Kind { restore_point, commit, abort } kind = Kind::restore_point;
  postgres::Lsn begin;    // where an exclusive target stops
  postgres::Lsn end;      // and an inclusive one
  std::int64_t time = 0;  // microseconds since 1970 UTC

  bool operator==(const TargetPoint&) const = default;
};

// Any restore point, wanted or not.
struct RestorePoint {
  std::string name;
  postgres::Lsn begin;
  postgres::Lsn end;
  std::int64_t time = 0;

  bool operator==(const RestorePoint&) const = default;
};

// What a server now and then notes of its transactions: every one before `oldest_running` has
// ended, and none from `next` on has begun. Numbers go round: see precedes().
struct TransactionMark {
  postgres::Lsn at;
  std::uint32_t next = 0;
  std::uint32_t oldest_running = 0;

  bool operator==(const TransactionMark&) const = default;
};

// Whether one transaction's number comes before another's, as PostgreSQL counts.
bool precedes(std::uint32_t transaction, std::uint32_t other);

// Gathers from WAL what bears on one wanted point, in the order of the log. Goes by access/xact.h,
// xlog_internal.h and storage/standbydefs.h, from PostgreSQL 10 to 18.
//
// As in PostgreSQL, it is the commit or abort record of a transaction itself that counts, also that
// of a prepared one, and that of a subtransaction that was rolled back. A subtransaction that was
// not, has none: it ends with its top-level transaction, which is noted.
class TargetRecords : public RecordVisitor {
 public:
  TargetRecords(WantedPoint wanted, postgres::Version version)
      : wanted_(std::move(wanted)), version_(version) {}

  std::size_t wanted(ByteView header) override;
  void record(postgres::Lsn begin, postgres::Lsn end, ByteView bytes) override;

  std::vector<TargetPoint> points;           // that are wanted
  std::vector<RestorePoint> restore_points;  // all there are, where a name is wanted
  std::optional<std::uint32_t> top_level;    // that the wanted transaction is a part of
  std::vector<TransactionMark> marks;        // where a transaction is wanted

 private:
  void restore_point(postgres::Lsn begin, postgres::Lsn end, ByteView data);
  void transaction_end(postgres::Lsn begin, postgres::Lsn end, ByteView record, ByteView data);

  WantedPoint wanted_;
  postgres::Version version_;
};

}  // namespace pgrevive::wal
