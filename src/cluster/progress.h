#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/notice.h"
#include "cluster/request.h"
#include "restore/observer.h"

namespace pgrevive::cluster {

// What the supervisor is doing, from the first second of `start` to its end. It is written to
// run/status.json whenever it changes (atomically; at most five times a second), so anyone may read
// it at any time without asking the supervisor.
enum class Phase {
  preparing,    // looking at repository, directories, binaries
  restoring,    // copying the backup to every node
  recovering,   // the primary replays WAL up to the target
  promoting,    // and becomes a primary of its own
  configuring,  // passwords, roles, database, archiving
  joining,      // replicas catch up and stream
  reindexing,   // all is up; indexes are rebuilt, as `start --reindex` asked for
  running,      // all is up; the supervisor watches
  stopping,
  stopped,
  failed,
};
std::string_view name(Phase phase);
std::optional<Phase> parse_phase(std::string_view text);

struct PhaseTime {
  Phase phase = Phase::preparing;
  std::int64_t began_ms = 0;  // Unix milliseconds
  std::int64_t ended_ms = 0;  // 0: still going
};

// Where recovery ended, and the proof that nothing archived was left out.
struct RecoveryEnd {
  std::string target;            // "latest", "time 2026-11-22 14:05:00+00", ...
  std::uint32_t timeline = 0;    // that was followed
  std::string lsn;               // last replayed
  std::string last_commit_time;  // of the last replayed transaction; empty: none after the backup
  std::string newest_archived_wal;  // segment name; empty: the archive has none for this line
  std::string last_replayed_wal;
  // The difference: segments of the archive behind the last replayed one, and how long before a
  // target of time the last transaction ended.
  std::uint64_t wal_left = 0;
  std::optional<std::int64_t> before_target_us;
  std::uint32_t new_timeline = 0;  // after promotion
  std::string fork_lsn;
};

// The last `start --reindex`.
struct ReindexProgress {
  std::size_t indexes_total = 0;
  std::size_t indexes_done = 0;
  std::string now;  // "public.names_idx in testdb"
  std::vector<std::string> failures;
};

struct SupervisorStatus {
  std::string cluster_name;
  std::int64_t pid = 0;
  Phase phase = Phase::preparing;
  std::vector<PhaseTime> phases;
  restore::Progress restore;            // of the phase restoring
  std::int64_t restore_retries = 0;     // requests to the storage that had to be made again
  std::int64_t restore_throttled = 0;   // of those: because the storage asked for fewer
  std::string backup_label;             // it was made from; empty for an empty new cluster
  std::int64_t wal_segments_total = 0;  // to replay up to the target; 0: not known (yet)
  std::int64_t wal_segments_done = 0;
  std::string replay_lsn;
  std::optional<RecoveryEnd> recovery_end;
  std::optional<ReindexProgress> reindex;
  std::optional<RequestReport> request;  // the last that somebody made
  std::string error;                     // Error::text() of what ended it (phase failed)
  int exit_code = 0;
  std::vector<Notice> notices;                // warnings, shown to a person as they come
  std::vector<std::string> dropped_settings;  // of the source's configuration, with the reason
  std::vector<std::string> changed_settings;  // "max_connections: 100 -> 420, ...", and files of it
  int restarts = 0;                           // servers that died and were started again
};

std::string to_json(const SupervisorStatus& status);
SupervisorStatus status_from_json(const std::string& text);

}  // namespace pgrevive::cluster
