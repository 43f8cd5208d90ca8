#include "cluster/offline_beginning.h"

#include <fmt/format.h>

#include "postgres/control_file.h"
#include "postgres/wal_name.h"
#include "restore/stored_file.h"

namespace pgrevive::cluster {

std::optional<repository::Backup> with_beginning(const repository::Repository& repository,
                                                 const repository::BackupInfo& info,
                                                 const repository::Backup& offline) {
  const auto manifest = repository.load_manifest(info, offline.label);
  const auto file = restore::read_stored_file(repository, manifest, "pg_data/global/pg_control");
  if (!file) return {};
  const auto control = postgres::ControlFile::parse(*file);
  auto backup = offline;
  backup.archive_start =
      postgres::WalSegment::containing(control.checkpoint_timeline, control.checkpoint,
                                       control.wal_segment_size)
          .name();
  backup.archive_stop = backup.archive_start;
  backup.lsn_start = backup.lsn_stop = control.checkpoint;
  return backup;
}

Error lacks_what_follows(const repository::Backup& backup) {
  return Error(ErrorKind::not_found,
               fmt::format("the archive has no {}, in which the WAL behind the offline backup {} "
                           "begins",
                           *backup.archive_start, backup.label.text()))
      .with_hint(
          "choose another backup (--set, RESTORE_SET), or leave the target out: the backup is "
          "whole in itself");
}

}  // namespace pgrevive::cluster
