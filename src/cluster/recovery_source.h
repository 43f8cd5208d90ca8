#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "cluster/archive_line.h"
#include "cluster/node_record.h"
#include "cluster/site.h"
#include "postgres/control_file.h"
#include "postgres/wal_name.h"

namespace pgrevive::cluster {

// Whether WAL of the source's archive is replayed behind that backup. An offline one is consistent
// as it is: told of a target `immediate`, PostgreSQL would replay one record too few to pause, and
// refuse to be promoted short of its target; and of a source without an archive there is no other.
bool replays_archive(const NodeRecord& record, const restore::RecoveryTarget& target);

// The source's archive and the line in it that recovery follows, from the segment where replay of
// the restored files begins. Refers to its own repository, so it stays where it was made.
class RecoverySource {
 public:
  // The line is the one that `record` says was chosen before, where the wish is for the newest:
  // what was replayed along it may be no part of one that is newer. Throws Error{not_found} where
  // the archive never held this cluster, and Error{usage} for a target timeline that does not pass
  // the backup.
  RecoverySource(const Settings& settings, postgres::Version version, const NodeRecord& record,
                 const postgres::ControlFile& control);
  RecoverySource(const RecoverySource&) = delete;
  RecoverySource& operator=(const RecoverySource&) = delete;

  const ArchiveLine& line() const { return line_; }
  const postgres::WalSegment& begin() const { return begin_; }
  // What was opened meanwhile; all up to `position`, on the line's timeline `on`, was replayed.
  NewerLines newer(postgres::Timeline on, postgres::Lsn position) const;
  void follow(ArchiveLine line) { line_ = std::move(line); }
  // The text of a timeline's history file; empty: the archive has none.
  std::optional<std::string> history(postgres::Timeline timeline) const;
  // When the newest transaction ended that is whole before `until` (microseconds since 1970);
  // empty: from begin() on none did.
  std::optional<std::int64_t> newest_transaction(postgres::Lsn until) const;
  // The newest segment on the line, looked up anew; empty: there is none from begin() on.
  std::optional<ArchiveEnd> newest() const;

 private:
  repository::Repository repository_;
  repository::WalArchive archive_;
  postgres::WalSegment begin_;
  postgres::Lsn start_;  // that recovery has to pass
  ArchiveLine line_;
};

// An offline backup says nothing of WAL; the checkpoint in the pg_control that came with it does,
// until a server has run on it. Notes it in `record` and saves that, unless it is noted already.
// Where the archive never held this cluster nothing is noted, and a person is told: such a backup
// is whole without any WAL.
void note_offline_beginning(Site& site, NodeRecord& record, const postgres::ControlFile& control);

}  // namespace pgrevive::cluster
