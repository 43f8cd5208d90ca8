#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "postgres/lsn.h"
#include "postgres/wal_name.h"
#include "wal/tablespace_memory.h"
#include "wal/tablespace_records.h"

namespace pgrevive::wal {

// Keeps a server that replays a source's WAL out of tablespaces that are somebody else's: the
// source may live on this host, and its WAL names the source's own directories. A place is taken
// where it has the directory of this version and catalog (PG_15_202209061) and the server has not
// made that itself: neither leads its pg_tblspc/OID there, nor was the record let through before.
//
// What was let through stands in `memory` (wal/tablespace_memory.h). For one process at a time.
class TablespaceGuard {
 public:
  // Of places that are not there. A server stops at a record whose place is absent, which on
  // another host than the source's it mostly is.
  struct Making {
    std::vector<std::filesystem::path> keep_out;   // see make_place()
    std::function<void(const std::string&)> tell;  // what was made, or why not
  };

  // `version_directory` is what PostgreSQL calls its directory in a tablespace. Records before
  // `replay_begin` are not replayed, and not judged. Without `making` no place is made.
  TablespaceGuard(std::filesystem::path data_directory, std::string version_directory,
                  postgres::Lsn replay_begin, std::filesystem::path memory,
                  std::optional<Making> making = {});

  // `records` are those of the segment. Empty: all of it may be replayed. Else the segment may be
  // handed out up to the record that begins there, which it is a few times for each server that
  // runs; then, and where the record begins in an earlier segment, Error{target_not_empty} that
  // names the place and the remedies. The places of what is handed out were made as far as they can
  // be; where one cannot, the server says what it lacks.
  std::optional<postgres::Lsn> check(const std::vector<TablespaceRecord>& records,
                                     const postgres::WalSegment& segment) const;

 private:
  bool is_taken(const TablespaceRecord& record, const TablespaceMemory& memory) const;
  void make(const TablespaceRecord& record, TablespaceMemory& memory) const;

  std::filesystem::path data_directory_;
  std::string version_directory_;
  postgres::Lsn replay_begin_;
  std::filesystem::path memory_;
  std::optional<Making> making_;
};

}  // namespace pgrevive::wal
