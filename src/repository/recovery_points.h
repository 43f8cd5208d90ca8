#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/history.h"
#include "postgres/wal_name.h"
#include "repository/backup_info.h"
#include "repository/repository.h"

namespace pgrevive::repository {

// What an archive holds of one cluster, as its list of files tells it.
struct ArchiveContents {
  std::uint32_t segment_size = 0;                                     // 0: there are no segments
  std::map<postgres::Timeline, std::vector<std::uint64_t>> segments;  // numbers, rising
  std::map<postgres::Timeline, postgres::TimelineHistory> histories;  // as load_line() gives them

  // The line of a timeline; without ancestors where there is no history of it.
  postgres::TimelineHistory line(postgres::Timeline timeline) const;
};

// The line of a timeline as the archive tells it; empty: it has no history of it. Whoever asks
// which way recovery goes asks here: the history is straight, so that it names no timeline that the
// line never touches. Throws Error{corrupt} that names the file.
std::optional<postgres::TimelineHistory> load_line(const WalArchive& archive,
                                                   postgres::Timeline timeline);

// Lists the WAL directories of the archive, a request for each 4 GiB of log: all, or those at or
// after the place of the segment `from`.
ArchiveContents load_contents(const WalArchive& archive, const std::string& from = {});

// Segments that are missing between others that are there.
struct WalGap {
  std::string first;  // names of the first and the last one missing
  std::string last;
  std::uint64_t count = 0;
  bool operator==(const WalGap&) const = default;
};

// How far one backup can be recovered on the way to one timeline.
struct RecoveryLine {
  postgres::Timeline timeline;
  std::string last_segment;  // of the continuous WAL that begins with the backup
  postgres::Lsn end;         // the byte after it
  // The latest moment known to lie on this line: when the last backup made on it stopped. The WAL
  // usually reaches further.
  std::int64_t reaches_time = 0;
  std::vector<WalGap> gaps;  // after `last_segment`; what lies behind a gap cannot be reached
};

struct RecoveryPoints {
  // When the backup stopped, which is the earliest moment it can be recovered to.
  std::int64_t from = 0;
  // The first segment missing of those that the backup needs to become consistent; empty: none.
  std::string missing;
  // The backup's own timeline first, then every one that branched off after the backup and that the
  // archive holds WAL of. Empty for backups made offline and where `missing` is set.
  std::vector<RecoveryLine> lines;
};

// Pure. `others` are the backups of the same cluster.
RecoveryPoints find_recovery_points(const Backup& backup, const std::vector<Backup>& others,
                                    const ArchiveContents& contents);

}  // namespace pgrevive::repository
