#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postgres/history.h"
#include "postgres/wal_name.h"
#include "repository/repository.h"
#include "restore/choose_backup.h"
#include "restore/recovery.h"

namespace pgrevive::cluster {

// The line of timelines that recovery follows: the timeline it ends on, and its ancestors.
//
// The server is told the number and not "latest": a source that is still alive may open another
// timeline in the middle, and an archive may hold one that the backup is no part of, on which the
// server would refuse to start.
// A line's history is straight: it names the timelines that it touches, in their order.
struct ArchiveLine {
  postgres::TimelineHistory history;

  postgres::Timeline timeline() const { return history.timeline; }
};

// `wanted` is empty (the newest timeline whose line passes the backup), "latest" (the newest there
// is), "current" (the backup's), or a number (decimal, or hex after 0x). `begin` and `position` are
// the backup's timeline and the LSN that recovery has to pass. Throws Error{usage} where the wanted
// timeline does not pass it.
ArchiveLine choose_line(const repository::WalArchive& archive, postgres::Timeline begin,
                        postgres::Lsn position, const std::string& wanted);

// The newest timeline of the archive where it is newer than `line`, which was chosen for a backup
// of timeline `begin` that ends at `position`, and does not pass that backup: it left before, so
// that the source went on along one of the two, and only a person knows along which.
std::optional<postgres::TimelineHistory> rival_of(const repository::WalArchive& archive,
                                                  const ArchiveLine& line, postgres::Timeline begin,
                                                  postgres::Lsn position);

// Timelines that were opened while recovery went along a line.
struct NewerLines {
  std::optional<ArchiveLine> onward;             // the newest that has all that was replayed
  std::vector<postgres::TimelineHistory> aside;  // those that left before the end of that
};

// What there is beyond `line`, of which all up to `position`, on its timeline `on`, was replayed.
// `begin` and `start` are the backup's timeline and the LSN that recovery had to pass: what left
// before them was not to be chosen from the beginning.
NewerLines newer_lines(const repository::WalArchive& archive, const ArchiveLine& line,
                       postgres::Timeline begin, postgres::Lsn start, postgres::Timeline on,
                       postgres::Lsn position);

// Whether this wish for a timeline is for the newest, whichever that is.
bool wants_latest(const std::string& wanted);

// What choose_line() is to be asked for. A backup's own consistency lies on its own timeline.
std::string wanted_timeline(const restore::RecoveryTarget& target);

// Whether recovery of a backup of the stanza's cluster can get to a timeline that is wanted by its
// number, or as the "latest"; empty for every other wish.
restore::OnTheWay on_the_way(const repository::Repository& repository,
                             const repository::BackupInfo& info,
                             const restore::RecoveryTarget& target);

// Where the WAL of a line ends in the archive.
struct ArchiveEnd {
  postgres::WalSegment segment;
  // Only the beginning of it is of the line: the line leaves that timeline in it, and has no WAL of
  // the next one yet; or nobody has finished it, and it is there as ".partial".
  bool unfinished = false;
};

// The newest segment in the archive that lies on the line; empty: there is none at or after `from`.
std::optional<ArchiveEnd> newest_on(const ArchiveLine& line, const repository::WalArchive& archive,
                                    const postgres::WalSegment& from);

}  // namespace pgrevive::cluster
