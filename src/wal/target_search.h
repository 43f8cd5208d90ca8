#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "postgres/version.h"
#include "postgres/wal_name.h"
#include "repository/repository.h"
#include "wal/target_records.h"

namespace pgrevive::wal {

// Looks for one restore point, or the end of one transaction, in the WAL of an archive, along the
// ways that recovery may take. A segment is read once, however many ways lead over it; a
// transaction's is found by bisection, a name only by reading all that lies before it.
//
// Segments are fetched by a few threads ahead of the one that reads them; where two do not fit into
// `memory`, they pass by one after the other and are never there as a whole. Used by one thread.
class TargetSearch {
 public:
  // Told after every segment that was read, of how many at most in this way.
  using Progress = std::function<void(std::uint64_t read, std::uint64_t most)>;

  // `archive` must outlive it; `system_id` and `version` are of the cluster whose it is. Once `stop`
  // is asked for, Error{cancelled} is thrown. `memory` is in bytes.
  TargetSearch(const repository::WalArchive& archive, std::uint64_t system_id,
               postgres::Version version, WantedPoint wanted,
               std::stop_token stop = {}, Progress progress = {},
               std::uint64_t memory = 256u << 20);

  // Why a way has no such point.
  enum class Absence {
    none,        // it has
    not_there,   // no restore point of that name
    before,      // the transaction ended before the way begins
    no_end,      // it ran on the way, and has no end of its own: a subtransaction
    running,     // it had begun and not ended where the way ends
    not_begun,   // nor begun
    unreadable,  // where the log ends before the way does, it was not found yet
  };
  struct Result {
    std::optional<TargetPoint> point;
    Absence absence = Absence::none;
    std::optional<std::uint32_t> top_level;  // no_end: of which it is a part, where that is known
    std::uint32_t next = 0;                  // running, not_begun: the first that has not begun
    postgres::Lsn log_end;                   // unreadable
  };
  // As much of a way as counts: a point begins at or after `from` and ends at or before `to`.
  struct Span {
    postgres::Lsn from;
    postgres::Lsn to;
    bool holds(const TargetPoint& point) const { return point.begin >= from && point.end <= to; }
  };
  // The first one in the span. `way` are segments that follow one another as recovery reads them,
  // all of them archived. Throws what reading throws, and Error{corrupt} for a segment that is
  // another's under its name (SegmentHead).
  Result first_on(const std::vector<postgres::WalSegment>& way, Span span);

  // All that were come across, in the order of the log.
  std::vector<RestorePoint> restore_points() const;
  std::uint64_t segments_read() const { return read_; }

 private:
  // What begins in a segment.
  struct Known {
    bool whole = false;  // also the record that goes on in the next one was seen
    std::vector<TargetPoint> points;
    std::vector<RestorePoint> restore_points;
    std::vector<TransactionMark> marks;
    std::optional<std::uint32_t> top_level;
    std::optional<postgres::Lsn> log_end;
  };
  using Way = std::vector<postgres::WalSegment>;

  void find_objects(const Way& way);
  bool is_known(const Way& way, std::size_t i) const;
  std::size_t first_to_read(const Way& way);
  const std::optional<TransactionMark>& first_mark(const postgres::WalSegment& segment);
  void read_on(const Way& way, std::size_t first, const Span& span);
  bool settles(const Known& known, const Span& span) const;
  void refuse_to_go_on_if_stopped() const;
  Bytes fetch(const postgres::WalSegment& segment) const;
  void read(const postgres::WalSegment& segment, Sink& sink) const;
  void told(std::uint64_t left);

  const repository::WalArchive& archive_;
  std::uint64_t system_id_;
  postgres::Version version_;
  WantedPoint wanted_;
  std::stop_token stop_;
  Progress progress_;
  std::uint64_t memory_;
  std::map<std::string, repository::ArchivedSegment> objects_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::optional<TransactionMark>> first_marks_;
  std::uint64_t read_ = 0;
};

}  // namespace pgrevive::wal
