#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "postgres/history.h"
#include "postgres/lsn.h"
#include "postgres/wal_name.h"

namespace pgrevive::cluster {

// The furthest that the WAL of a line was ever seen to reach in the archive. Segments that were
// there and are not any more (they expired, somebody's rule for old objects removed them, a list is
// short) leave no gap where they were the newest: without this their absence would pass for the end
// of the log.
struct FurthestEnd {
  std::uint32_t line = 0;  // the timeline that the line ends on; 0: nothing was seen
  std::string segment;     // its name, also of one that nobody had finished; empty: there was none

  // "2:000000020000000000000007". parse() also takes an empty text; throws Error{corrupt}.
  static FurthestEnd parse(const std::string& text);
  std::string text() const;

  // What has been seen is of this line from now on; forgotten where it does not lie on it.
  void follow(const postgres::TimelineHistory& history, std::uint32_t segment_size);
  // `newest` is of the line that is followed. Whether that is further than what was seen before.
  bool raise(const postgres::WalSegment& newest);
  // The segment, where the archive does not reach it any more, and replay, which has come to
  // `replayed` on timeline `on` and was given `last_delivered` (or nothing), has not had it before
  // that; else empty.
  std::string lost(const std::optional<postgres::WalSegment>& newest, postgres::Timeline on,
                   postgres::Lsn replayed, const std::string& last_delivered,
                   std::uint32_t segment_size) const;

  bool operator==(const FurthestEnd&) const = default;
};

}  // namespace pgrevive::cluster
