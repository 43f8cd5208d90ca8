#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cluster/lines_beside.h"
#include "cluster/target_point.h"
#include "postgres/history.h"
#include "repository/recovery_points.h"
#include "repository/repository.h"
#include "restore/recovery.h"

// What a recovery would be, said before its first byte is fetched.
namespace pgrevive::cluster {

struct Outlook {
  // Why the target cannot be reached with this backup: the hint names what can be. Nothing below
  // `gaps` is said then.
  std::optional<Error> problem;
  // It is that the archive lacks what the backup needs to become consistent.
  bool lacks_own_wal = false;
  // It is that the continuous WAL ends at the first of `gaps`, whatever lies behind.
  bool ends_at_gap = false;

  postgres::Timeline timeline;  // that recovery ends on
  postgres::TimelineHistory
      line;  // its history, straight; that of the first where nothing was looked up
  std::string first_segment;   // empty: the backup needs no WAL
  std::string last_segment;    // that is known to be needed
  std::uint64_t segments = 0;  // from the first to the last, both counted
  std::uint32_t segment_size = 0;
  std::vector<repository::WalGap> gaps;  // in the line, behind what can be reached
  // Others that lead on from the backup, where nobody has named a timeline.
  std::vector<LineBeside> beside;
  // Where the continuous WAL ends, and the latest end of a transaction in it (microseconds since
  // 1970), which is only looked up for a target of time.
  postgres::Lsn end;
  std::optional<std::int64_t> newest_transaction;
  // false: nothing here tells whether the target is in the archive (a name or xid of which no
  // TargetPoint is known).
  bool certain = true;
  // The server has to be told `timeline` by its number: the newest one in the archive, which it
  // follows by itself, does not pass the backup.
  bool tell_timeline = false;
};

// The latest end of a transaction in the segment of that name, of those that are whole in it before
// `until`, in microseconds; empty: none ended in it.
using LatestTransaction =
    std::function<std::optional<std::int64_t>(const std::string& segment, postgres::Lsn until)>;

// Where the last record of the segment of that name begins that is whole in it, also of a switch to
// the next one; empty: it is not there. Zero: none begins in it.
using NewestRecord = std::function<std::optional<postgres::Lsn>(const std::string& segment)>;

// What the segments themselves are asked.
struct SegmentLook {
  LatestTransaction latest_transaction;
  NewestRecord newest_record;
};

// Pure but for `look`, which is taken into a few segments for targets of time, newest first, and
// into the last one where an LSN lies in it. `line` is what recovery follows (choose_line); `exact`
// also finds out which segment is the last one needed for a target of time, which takes a few more.
Outlook judge_target(const repository::Backup& backup, const repository::RecoveryPoints& points,
                     std::uint32_t segment_size, const postgres::TimelineHistory& line,
                     const restore::RecoveryTarget& target, const SegmentLook& look, bool exact);

// Makes it that of the point, which was found in the WAL of that backup's way.
void lead_to(Outlook& outlook, const TargetPoint& point);

// What is stored of the segments from the first to the last, by a list of the archive's files.
// Empty: which ones are read is not known, or one of them is not there.
std::optional<std::uint64_t> stored_wal(const SourceArchive& source, const Outlook& outlook);

// "segment ... is missing".
std::string gap_text(const repository::WalGap& gap);
// Of a backup of which `points.missing`.
Error lacks_its_wal(const repository::Backup& backup, const repository::RecoveryPoints& points);

// Whether a person has named the backup, or it was chosen for the target.
enum class Chosen { by_name, for_target };
// By what was asked for: a label, "latest", or nothing. Pure.
Chosen how_chosen(const std::optional<std::string>& set);

// Looks into the archive and judges; where the target says nothing of timelines, and the newest one
// left the backup's before the backup ended, that is a problem too: which of the two is the
// source's nobody can tell from here, but who has named the backup. A gap is looked at again after
// two seconds, and is one if it is still there. Where another line goes on beside the one that
// would be followed, and holds the target too or what is newer, that is a problem. Offline backups
// are judged for an LSN, a time and all that there is, for which their pg_control is read; where
// nothing was archived behind one, the latest it leads to needs no WAL. `watch` hears of the
// segments that are read. Throws what a storage throws, and Error{cancelled}.
Outlook look_ahead(const SourceArchive& source, const repository::BackupInfo& info,
                   const repository::Backup& backup, Chosen chosen,
                   const restore::RecoveryTarget& target, bool exact, const PointWatch& watch = {});

}  // namespace pgrevive::cluster
