#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "repository/repository.h"
#include "restore/recovery.h"

// Where in the WAL of the archive a target of type name or xid lies, and which backup leads there:
// known before the first byte of it is fetched.
namespace pgrevive::cluster {

// The archive that stands beside a backup.
struct SourceArchive {
  const repository::Repository& repository;
  std::uint64_t system_id;
  postgres::Version version;
};

struct TargetPoint {
  std::string backup;     // label of the one to begin with
  std::string what;       // "restore point", "commit", "abort"
  postgres::Lsn begin;    // of its record; behind the backup's end
  postgres::Lsn end;      // where recovery ends that does not stop before it
  std::int64_t time = 0;  // microseconds since 1970
  std::uint32_t timeline = 0;
  std::string segment;  // the last one that recovery reads
  // Another restore point of that name, further on the way, which cannot be reached with this
  // backup. Only looked for where asked.
  std::optional<postgres::Lsn> again;

  bool operator==(const TargetPoint&) const = default;
};

// "restore point 'half way' at 0/7000138, of 2026-11-22 14:05:00+00, on timeline 1".
std::string describe(const TargetPoint& point, const restore::RecoveryTarget& target);

// While it is looked for, which may take as long as reading all WAL does.
struct PointWatch {
  std::stop_token stop = {};
  std::function<void(std::uint64_t read, std::uint64_t most)> progress = {};
};

// At most one of both: neither where only replay tells (there is no backup that was made online, and
// of `set` not even its pg_control says where it ends).
struct PointLookup {
  std::optional<TargetPoint> point;
  std::optional<Error> problem;  // why it cannot be reached; the hint names what can be
};

// Whether it is a target that only the records of WAL tell the place of.
bool lies_in_records(const restore::RecoveryTarget& target);

// Looks along the ways of the target's timeline from the newest backup on, or from `set` alone, for
// the newest backup that is consistent before the first such point on its way: that is where
// PostgreSQL stops. Segments that are missing are looked at again, as in look_ahead(). `again` also
// looks for TargetPoint::again. Throws what a storage throws, Error{usage} for a timeline that does
// not pass the backup, and Error{cancelled}.
PointLookup look_up_point(const SourceArchive& source, const repository::BackupInfo& info,
                          const std::optional<std::string>& set,
                          const restore::RecoveryTarget& target, const PointWatch& watch,
                          bool again = false);

}  // namespace pgrevive::cluster
