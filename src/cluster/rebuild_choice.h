#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "cluster/settings.h"
#include "postgres/history.h"
#include "postgres/wal_name.h"

// What a replica is made of whose primary has gone on from the backup: of that backup and all WAL
// since, or of the primary as it is. Pure.
namespace pgrevive::cluster {

// Bytes a second, and whether that was seen here or is only what is usual.
struct Rate {
  double bytes_per_second = 1;
  bool measured = false;
};
// What `bytes` in `time` say of a rate, and `usual` where they are so little that the time says
// more of what was around them.
Rate rate_of(std::uint64_t bytes, std::chrono::milliseconds time, double usual);

// What is usual: a restore has to fetch first, and pg_basebackup copies on one core. Of replay it
// is kReplayRate (preview.h).
inline constexpr double kUsualRestore = 100e6;
inline constexpr double kUsualCopy = 250e6;

struct RebuildFacts {
  std::string backup;         // its label
  std::string obstacle;       // why it cannot be that one; empty: nothing is against it
  std::uint64_t files = 0;    // bytes to restore, without what lies there from an earlier run
  std::uint64_t wal = 0;      // bytes to replay behind it
  std::uint64_t primary = 0;  // bytes of the primary
  Rate restore, replay, copy;
};

struct RebuildChoice {
  bool from_backup = false;
  std::string why;       // for a person: what is done, and why
  std::string obstacle;  // why it is not the backup, where that would have been
};

// By the wish, else by the estimates; the primary where both take as long. Where the backup is
// wished for and cannot be had, the primary.
RebuildChoice choose_rebuild(ReplicaRebuild wish, const RebuildFacts& facts);

// WAL that a replica on its way from a backup can get, by name.
struct WalStock {
  std::set<std::string> source;   // in the archive of the source
  std::set<std::string> own;      // of the primary's timeline, in the archive of the cluster
  std::set<std::string> primary;  // likewise, with the primary itself, and sure to stay
};
// The first segment that is nowhere, from `first` to `last`, along the straight line of the
// primary's timeline. Before the segment in which that timeline begins the source's archive has to
// have all, from there on the cluster's own or the primary.
std::optional<std::string> missing_segment(const postgres::TimelineHistory& history,
                                           const postgres::WalSegment& first,
                                           const postgres::WalSegment& last, const WalStock& stock);

}  // namespace pgrevive::cluster
