#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "codec/sink.h"
#include "repository/backup_info.h"

namespace pgrevive::repository {

struct ArchiveInfo {
  std::vector<DatabaseHistory> history;  // ordered by id
  std::uint32_t current_id = 0;
  Secret wal_passphrase;  // empty when not encrypted

  // "15-1", the folder of one history id.
  static std::string archive_id(const DatabaseHistory& database);
  // Every id whose version and system id are these: more than one after an upgrade and back.
  std::vector<DatabaseHistory> matching(std::uint64_t system_id, postgres::Version version) const;
};

// Reads the plain text of archive.info into `into`, which is whole and true only after finish().
std::unique_ptr<Sink> make_archive_info_reader(std::string name, ArchiveInfo& into);

}  // namespace pgrevive::repository
