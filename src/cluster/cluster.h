#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "cluster/collations.h"
#include "cluster/marker.h"
#include "cluster/progress.h"
#include "cluster/restore_history.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "restore/databases.h"

// What the front door can ask of a cluster. Each function is a command's whole work but for its
// words; all throw Error.
namespace pgrevive::cluster {

// Checks what can be known to be wrong beforehand (ports, directories, binaries, repository, disk
// space), makes the state directory and its files, and starts the supervisor as a process of its
// own (as user postgres when we are root). Where one runs already this only says so, and
// has it try again what it gave up (phase failed). `own_program`
// is the path of the running pgrevive, which is copied into the state directory.
// With `reindex` it rebuilds, when all is up, the indexes that depend on collations which changed;
// one that runs does so at once. A target of name or xid is looked for under `watch`, and where it
// lies is put into `settings`.
enum class Launch { started, already_running };
Launch launch(Settings& settings, const StateDirectory& directory,
              const std::filesystem::path& own_program, const PointWatch& watch,
              bool reindex = false);

// Has a supervisor that gave a server up (phase failed) and watches the rest try again, and waits
// until it does, 3 s at most. Does nothing in other phases.
void try_again(const StateDirectory& directory);

// Makes the state directory and what the supervisor reads: `marker`, `settings`, the programs
// (`own_program` and its client beside it). As `owner`, to whom the directory must belong.
void write_state(const Settings& settings, const StateDirectory& directory, const Marker& marker,
                 const Identity& owner, const std::filesystem::path& own_program);

// The supervisor itself: brings the cluster up (whatever state the directories are in), keeps it
// up, takes it down on SIGTERM. Returns its exit code. Until::brought_up takes it down as soon as
// it is up: the exit code is 0 only if it was.
enum class Until { stopped, brought_up };
int supervise(const StateDirectory& directory, Until until = Until::stopped);

// What the supervisor last wrote, if this cluster has ever been launched; and whether it lives now.
std::optional<SupervisorStatus> read_status(const StateDirectory& directory);
bool supervisor_running(const StateDirectory& directory);

// Stops supervisor and servers, cleanly; kills nothing that is not this cluster's. True if
// something ran. Throws Error{busy} naming what still runs when `limit` is over.
// The console ends with them, unless it is the one that asks.
enum class ConsoleFate { ends, stays };
bool stop(const StateDirectory& directory, std::chrono::milliseconds limit,
          ConsoleFate console = ConsoleFate::ends);

// Removes everything below the state directory that belongs to this cluster, never following a
// link. Refuses while a server runs on one of its data directories that its supervisor does not
// own. Returns what was removed, for the report; what stays on purpose (an archive in a bucket) is
// in `kept`.
struct Cleanup {
  std::vector<std::string> removed;
  std::vector<std::string> kept;
};
Cleanup cleanup(const StateDirectory& directory);

// One node as `status` shows it. Texts are empty where unknown.
struct NodeStatus {
  std::string name;
  std::string role;  // "primary", "replica", "recovering" as the server itself says
  int port = 0;
  std::string state;  // "accepting", "starting", "down", "not restored", "restoring"
  std::int64_t pid = 0;
  std::string version;
  std::uint32_t timeline = 0;
  std::string lsn;          // written (primary) or replayed (replica)
  std::string replication;  // replicas: "streaming", "catchup", "disconnected"
  std::optional<std::uint64_t> lag_bytes;
  std::optional<double> lag_seconds;
  std::string backup_label;
  std::string made_because;  // of a replica that was made after the promotion: of what, and why
  std::string data_directory;
  std::uint64_t data_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t disk_total_bytes = 0;
  std::optional<int> connections;  // of clients, ours not counted
  std::optional<int> max_connections;
  std::int64_t started_ms = 0;  // Unix milliseconds; 0: unknown
  std::string error;            // why it could not be asked
};

// What pg_stat_archiver of the primary counts.
struct ArchiverCounts {
  std::int64_t archived = 0;
  std::int64_t failed = 0;
  std::optional<double> last_archived_seconds_ago;
};

struct ClusterStatus {
  std::string cluster_name;
  std::string state_directory;
  bool containers = false;  // RUNTIME=docker
  bool supervisor_running = false;
  SupervisorStatus supervisor;
  std::vector<NodeStatus> nodes;
  std::vector<restore::Database> left_out;  // of the source's databases, and not dropped yet
  std::string archiving;  // "own: 12 archived, last 00000002... 5 s ago, 0 failed", "off"
  std::string archive;    // where to: a directory, or "s3://bucket/path"; empty: off
  // WAL_ARCHIVE=own: the newest backup in it that the cluster knows of; empty: none, so nothing can
  // be restored from it yet. Empty optional: the archive is not its own.
  std::optional<std::string> archive_backup;
  bool archiving_ok = true;
  std::optional<ArchiverCounts> archiver;  // empty: off, or the primary does not answer
  std::string console_url;                 // empty: off
  std::string adminer_url;                 // empty: off
  bool adminer_answers = false;
  std::optional<CollationFindings> collations;  // empty: nobody looked yet
  std::string collations_file;
  std::vector<PastRestore> restores;  // the newest first
  // Where a removal that was cut off, or is under way, has put what it has not removed yet.
  std::vector<std::string> half_removed;
};

// Who looks every second leaves out what costs more than a blink: whether Adminer answers, which
// may take two seconds, and data_bytes().
enum class Look { whole, without_sizes, quick };
ClusterStatus collect_status(const StateDirectory& directory, Look look = Look::whole);
// Of a node's data directory and its tablespaces. Every file in them is looked at, which takes
// minutes where there are many and the disk is slow. What it has counted, where it is stopped.
std::uint64_t data_bytes(const StateDirectory& directory, const std::string& node,
                         const std::stop_token& stop = {});
std::string to_json(const ClusterStatus& status);
// Where a person finds all that is known of collations: a path, or with containers the words that
// show it.
std::string place_of_collations(const StateDirectory& directory, const Settings& settings);

// The checks of `test`, in order; run one after the other with a bound on each.
struct Check {
  std::string id;    // what is checked, and stays the same: "answers", "streams"; see checks.cc
  std::string node;  // whose; empty: the cluster's
  std::string name;  // the two in words
  enum class Result { passed, failed, not_applicable } result = Result::passed;
  std::string detail;
};
// Nodes in containers are asked inside of their network, or where it is given, at that address of
// Docker's host, which publishes their ports: as a user does, from that host.
std::vector<Check> run_checks(const StateDirectory& directory, const std::string& published = {});

// What `psql` and `exec` need: PGHOST, PGPORT, PGUSER, PGDATABASE, PGDATA, PGPASSFILE, and a PATH
// with the server's binaries first. Throws Error{usage} for an unknown node.
std::vector<std::pair<std::string, std::string>> node_environment(const StateDirectory& directory,
                                                                  const std::string& node);

}  // namespace pgrevive::cluster
