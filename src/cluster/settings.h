#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/notice.h"
#include "base/secret.h"
#include "cluster/tablespace_map.h"
#include "cluster/target_point.h"
#include "repository/open.h"
#include "restore/databases.h"
#include "restore/recovery.h"
#include "storage/s3/s3.h"

namespace pgrevive::cluster {

// Where the cluster's own WAL goes after it was promoted (design: archiving after restore).
enum class WalArchiveMode { own, source, off };

std::string name_of(WalArchiveMode mode);  // as .env writes it

// What a replica is made of that is lost, or added, when the primary has gone on from the backup
// (cluster/rebuild_choice.h).
enum class ReplicaRebuild { sooner, backup, primary };

// What of the cluster's own archive is not as the source's repository is; what is empty here is the
// source's.
struct OwnArchive {
  std::optional<repository::RepositoryOptions::Type> type;  // WAL_ARCHIVE_TYPE
  // WAL_ARCHIVE_PATH: a path in the bucket, or a directory. Empty: see own_archive().
  std::optional<std::string> path;
  std::string bucket;    // WAL_ARCHIVE_S3_BUCKET
  std::string endpoint;  // WAL_ARCHIVE_S3_ENDPOINT
  std::string region;    // WAL_ARCHIVE_S3_REGION
  // Keys come as a pair, and a token only with them: the source's token belongs to its keys.
  Secret access_key;                           // WAL_ARCHIVE_S3_ACCESS_KEY
  Secret secret_key;                           // WAL_ARCHIVE_S3_SECRET_KEY
  Secret session_token;                        // WAL_ARCHIVE_S3_SESSION_TOKEN
  std::optional<storage::UriStyle> uri_style;  // WAL_ARCHIVE_S3_URI_STYLE
  std::optional<bool> verify_tls;              // WAL_ARCHIVE_S3_VERIFY_TLS
  std::filesystem::path ca_file;               // WAL_ARCHIVE_S3_CA_FILE
  Secret cipher_passphrase;                    // WAL_ARCHIVE_CIPHER_PASS

  // Whether it is reached by another way, or with other keys, than the source.
  bool has_s3_of_its_own() const;
};

// Everything a cluster is told, from .env or elsewhere, already checked. Names in comments are
// those of .env.
struct Settings {
  std::string cluster_name = "postgres-cluster";  // CLUSTER_NAME

  std::string user = "postgres";             // POSTGRES_USER
  Secret password;                           // POSTGRES_PASSWORD
  std::string database = "testdb";           // POSTGRES_DB
  int primary_port = 5433;                   // POSTGRES_PRIMARY_PORT
  int replica_port = 5434;                   // POSTGRES_REPLICA_PORT; further ones count up
  int adminer_port = 8081;                   // ADMINER_PORT; 0: no Adminer
  std::string adminer_listen = "127.0.0.1";  // ADMINER_LISTEN, an address
  int console_port = 8080;                   // CONSOLE_PORT; 0: no console
  std::string console_listen = "127.0.0.1";  // CONSOLE_LISTEN, an address
  std::vector<std::string> console_hosts;    // CONSOLE_HOSTS, beside addresses and localhost
  int replicas = 1;                          // REPLICAS, 0 to 4
  ReplicaRebuild replica_rebuild = ReplicaRebuild::sooner;  // REPLICA_REBUILD
  std::string listen_addresses = "localhost";               // LISTEN_ADDRESSES
  std::vector<std::string> allowed_networks;  // ALLOWED_NETWORKS, CIDR, beside localhost

  // NODE_TLS: replicas stream over TLS, and so does who comes by TCP (cluster/node_tls.h).
  bool node_tls = false;

  bool restore_from_backup = true;           // RESTORE_FROM_BACKUP
  repository::RepositoryOptions repository;  // PGBACKREST_STANZA, S3_*, REPO_*
  std::optional<std::string> backup_set;     // RESTORE_SET
  restore::RecoveryTarget target;            // RECOVERY_TARGET_*
  // Both were words of `start`: until they are reached, a later `start` without them goes on there
  // and not to what .env says.
  bool target_given = false;
  // Of a target of name or xid, once it was found; whoever goes on with it need not look again.
  std::optional<TargetPoint> point;
  // The backup that was judged to lead to the target before an old cluster was thrown away for it,
  // where nobody has named one: the new cluster is made of no other.
  std::optional<std::string> chosen_backup;
  // What is to be told of lines beside the one that is followed, as a start found them out.
  std::vector<Notice> lines_beside;
  // Likewise of locales that databases of the backup need and this host lacks.
  std::vector<Notice> missing_locales;
  restore::DatabaseChoice databases;  // DB_INCLUDE, DB_EXCLUDE
  bool drop_left_out = false;         // DB_DROP_LEFT_OUT
  TablespaceMap tablespaces;          // TABLESPACE_MAP, TABLESPACE_MAP_ALL
  unsigned process_max = 0;           // PGBACKREST_PROCESS_MAX; 0: processors

  WalArchiveMode wal_archive = WalArchiveMode::own;  // WAL_ARCHIVE
  OwnArchive own_archive;                            // where `own` archives to
  // WAL_ARCHIVE_SILENCE; for how long nothing of the source's must have come into the archive
  // before WAL_ARCHIVE=source takes its stanza over.
  int takeover_silence_seconds = 900;
  bool first_backup = false;  // WAL_ARCHIVE_BACKUP=full: a backup into the own archive, once
  int retention_full = 2;     // RETENTION_FULL
  int retention_diff = 3;     // RETENTION_DIFF

  bool archives() const { return wal_archive != WalArchiveMode::off; }

  // Sizes as PostgreSQL writes them ("256MB"); empty: left at our default for this host.
  std::string shared_buffers;                // SHARED_BUFFERS
  std::string effective_cache_size;          // EFFECTIVE_CACHE_SIZE
  std::string maintenance_work_mem;          // MAINTENANCE_WORK_MEM
  std::string work_mem;                      // WORK_MEM
  std::optional<int> max_wal_senders;        // MAX_WAL_SENDERS
  std::optional<int> max_replication_slots;  // MAX_REPLICATION_SLOTS

  std::filesystem::path postgres_binaries;  // POSTGRES_BIN; empty: found by version

  // RUNTIME=docker: each node is a host of its own (host_of) and its server is on kContainerPort
  // there; the ports above are where the containers' host publishes them.
  bool containers = false;
};

// The port of "primary", "replica", "replica-2", ...
int port_of(const Settings& settings, const std::string& node);

// Of a cluster in containers: what others find a node, "adminer" or "console", by:
// "postgres-cluster-primary"; and the ports there.
std::string host_of(const Settings& settings, const std::string& node);
inline constexpr int kContainerPort = 5432;
inline constexpr int kContainerAdminerPort = 8080;
inline constexpr int kContainerConsolePort = 8080;

// The settings as a cluster's state directory keeps them for its supervisor (secrets included, so
// the file is 0600).
std::string to_json(const Settings& settings);
Settings from_json(const std::string& text);

}  // namespace pgrevive::cluster
