#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "codec/sink.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "repository/backup_label.h"

namespace pgrevive::repository {

// One line of [db:history]: a PostgreSQL cluster this stanza has held.
struct DatabaseHistory {
  std::uint32_t id = 0;  // history id
  std::uint64_t system_id = 0;
  postgres::Version version;
  std::uint32_t catalog_version = 0;  // backup.info only
  std::uint32_t control_version = 0;  // backup.info only
};

// One finished backup as backup.info lists it. Sizes are bytes, times Unix seconds.
struct Backup {
  BackupLabel label;
  std::uint32_t database_id = 0;  // history id
  std::string backrest_version;
  std::uint32_t backrest_format = 5;
  std::optional<BackupLabel> prior;
  std::vector<BackupLabel> references;       // the backups it needs, itself left out
  std::optional<std::string> archive_start;  // WAL segment names; empty for offline backups
  std::optional<std::string> archive_stop;
  std::optional<postgres::Lsn> lsn_start;
  std::optional<postgres::Lsn> lsn_stop;
  std::int64_t timestamp_start = 0;
  std::int64_t timestamp_stop = 0;
  std::uint64_t size = 0;                        // of the restored cluster
  std::uint64_t size_delta = 0;                  // of what this backup copied
  std::optional<std::uint64_t> repository_size;  // as stored; absent in block-incremental backups
  std::uint64_t repository_size_delta = 0;
  std::optional<std::uint64_t> repository_size_map;
  std::optional<std::uint64_t> repository_size_map_delta;
  std::optional<bool> error;  // page checksum errors were found
  std::map<std::string, std::string> annotations;
  bool online = true;

  BackupType type() const { return label.type(); }
};

struct BackupInfo {
  std::vector<DatabaseHistory> history;  // ordered by id
  std::uint32_t current_id = 0;
  std::vector<Backup> backups;  // ordered by when they stopped
  Secret manifest_passphrase;   // empty when not encrypted

  const Backup* find(const BackupLabel& label) const;
  const DatabaseHistory* database(std::uint32_t id) const;
};

// Reads the plain text of backup.info into `into`, which is whole and true only after finish().
std::unique_ptr<Sink> make_backup_info_reader(std::string name, BackupInfo& into);

}  // namespace pgrevive::repository
