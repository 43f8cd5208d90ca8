#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "cluster/archive_report.h"
#include "cluster/progress.h"
#include "postgres/history.h"
#include "postgres/lsn.h"
#include "postgres/wal_name.h"
#include "restore/recovery.h"

// When recovery is over, and when it cannot be: the decision that keeps a cluster from being opened
// with data missing. Pure.
namespace pgrevive::cluster {

// What recovery is to reach.
struct RecoveryGoal {
  restore::RecoveryTarget target;
  // false: an offline backup, which has all it needs in itself, of a source without an archive
  bool from_archive = true;
  // The last segment the backup itself needs; empty where it needs none.
  std::optional<postgres::WalSegment> backup_stop;
};

// What one look at the server and the archive saw.
struct RecoveryView {
  bool running = true;     // the server is alive
  bool accepting = false;  // it answers queries, so it is consistent
  bool in_recovery = true;
  bool paused = false;
  bool parameters_too_low = false;  // pg_control demands more than the server was started with
  postgres::Lsn replayed;
  bool settled = false;  // `replayed` did not change for at least two looks
  // `report` is of a time when that had been so for a while: the server waits for what it asked
  // for.
  bool asked_since_settled = false;
  std::string last_commit_time;
  std::optional<ArchiveReport> report;
  // The newest segment on the line, looked up after the report was read; only needed (and only
  // asked for) once archive-get had to say that something is absent.
  std::optional<postgres::WalSegment> newest;
  // The segment that the archive reached once, and does not any more, and of which nothing was
  // replayed (FurthestEnd::lost()); empty: none.
  std::string lost;
  // Only the beginning of `newest` is of the line.
  bool newest_is_unfinished = false;
  // It was delivered, and the server has asked for that place again.
  bool newest_was_read = false;
  // Replay has kept up with the archive for long and the archive goes on growing: a source that
  // writes segments faster than we look would be followed for ever.
  bool chasing = false;
  std::uint32_t segment_size = 16u << 20;
};

struct RecoveryVerdict {
  enum class Kind {
    going_on,
    ended,             // proven; the server may be promoted
    raise_parameters,  // it cannot go on before it is restarted with more
    failed,            // never to be promoted; `error` says why
  } kind = Kind::going_on;
  std::optional<Error> error;
  // ended or failed because the line has no more WAL, not at a target
  bool exhausted = false;
};

// The server has asked for WAL beyond what the archive has of the line.
bool asks_beyond_archive(const RecoveryView& view);

RecoveryVerdict judge_recovery(const RecoveryGoal& goal, const RecoveryView& view);

// Why what was replayed is not `line`, which is straight: the server was given the segment of a
// fork from the timeline that goes on beside the line, since the line's own was not archived yet,
// and PostgreSQL reads such a one to its end. Empty: nothing says so.
std::optional<Error> strayed(const postgres::TimelineHistory& line, const RecoveryView& view);

// Why replay that paused is not at its target but past it: a server that goes on with what was
// replayed before stops at the next record that may be the target's. Empty: nothing says so.
std::optional<Error> overran(const RecoveryGoal& goal, const RecoveryView& view);

// "latest", "time 2026-11-22 14:05:00+00".
std::string describe(const restore::RecoveryTarget& target);

// Fills in what lies between the end and what there is, and between the end and the target.
void note_difference(RecoveryEnd& end, const restore::RecoveryTarget& target,
                     std::uint32_t segment_size);

// What an end is told in, to people: a line for each of its proofs.
std::string recovery_text(const RecoveryEnd& end);

}  // namespace pgrevive::cluster
