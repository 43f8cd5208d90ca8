#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/host.h"
#include "cluster/settings.h"
#include "postgres/conf_file.h"
#include "postgres/control_file.h"
#include "postgres/version.h"

// The texts of a node's configuration, which lies outside PGDATA so that nothing that came with a
// backup is in force by accident. All pure.
namespace pgrevive::cluster {

enum class Stage {
  recovering,  // the primary-to-be replays the source's WAL; only we may connect
  primary,
  replica,
};

struct NodeConfiguration {
  Stage stage = Stage::primary;
  std::string name;  // "primary"
  int port = 0;
  postgres::Version version;
  std::filesystem::path data_directory;
  std::filesystem::path conf_directory;
  std::filesystem::path socket_directory;
  Host host;
  std::vector<postgres::Setting> source;  // what is kept of the source's configuration
  // Hot standby refuses to replay with less than the WAL's own server had.
  postgres::ControlFile::Parameters floor;
  // Replication origins whose progress came with the data: with room for fewer the server does not
  // start.
  int replication_origins = 0;
  // Until a restart, subscriptions that came with the backup cannot begin to work on their own.
  bool hold_subscriptions = false;

  bool archiving = false;
  std::string archive_command;  // may be empty while archiving is set up: WAL is then kept

  // What makes it a standby: restore_command, recovery_target_*, primary_conninfo, in order.
  std::vector<postgres::Setting> recovery;
};

// max_connections and the like as postgresql_conf() writes them: the greatest of what WAL demands,
// what the source had and what we need.
postgres::ControlFile::Parameters parameters_of(const NodeConfiguration& node,
                                                const Settings& settings);

// What postgresql_conf() makes of a setting that has to be large enough: `before` is what the
// source's configuration says, or PostgreSQL by itself.
struct Parameter {
  std::string name;
  int value = 0;
  int before = 0;
  std::string why;  // it is another; empty where it is not
};
std::vector<Parameter> written_parameters(const NodeConfiguration& node, const Settings& settings);
// "max_connections: 100 -> 420, demanded by the WAL", of those that are others.
std::vector<std::string> changed_parameters(const NodeConfiguration& node,
                                            const Settings& settings);
// "max_connections 300 -> 420, max_wal_senders 15 -> 33".
std::string difference(const postgres::ControlFile::Parameters& before,
                       const postgres::ControlFile::Parameters& after);

// shared_buffers where the user did not say, bytes.
std::uint64_t default_shared_buffers(const Host& host);

// "256MB", as postgresql.conf has it; empty for anything else.
std::optional<std::uint64_t> parse_memory_size(std::string_view text);

// shared_buffers as postgresql_conf() sets them, bytes; empty where the user's words are no amount.
std::optional<std::uint64_t> shared_buffers_of(const Settings& settings, const Host& host);

// Sizes that the user did not give come from the host's memory, which all nodes share:
// shared_buffers 1/8 (32 MB to 1 GB), effective_cache_size 1/2, maintenance_work_mem 1/64 (64 MB to
// 512 MB), work_mem 1/1024 (4 MB to 32 MB).
std::string postgresql_conf(const NodeConfiguration& node, const Settings& settings);

// recovery.conf for versions before 12; with 12 the same settings are part of postgresql.conf.
std::string recovery_conf(const NodeConfiguration& node);

// While recovering only the socket directory is open, to whom pg_ident.conf names. Afterwards
// localhost and the allowed networks with scram-sha-256 (md5 before PostgreSQL 10), over TLS where
// NODE_TLS is on; the role for replication for that only.
std::string pg_hba_conf(Stage stage, const Settings& settings, postgres::Version version);

// With NODE_TLS: by which of the addresses of LISTEN_ADDRESSES a replica on this host reaches its
// primary, since PostgreSQL has no TLS on a socket's path.
std::string tls_host(const Settings& settings);

// Lets these users of the operating system be these roles over the sockets.
std::string pg_ident_conf(const std::vector<std::string>& system_users,
                          const std::vector<std::string>& roles);

// The settings of a target, in PostgreSQL's names; `timeline` is where recovery is to go.
std::vector<postgres::Setting> target_settings(const restore::RecoveryTarget& target,
                                               const std::string& timeline);

// One argument for /bin/sh in a restore_command or archive_command: in single quotes, and with '%'
// doubled because PostgreSQL replaces %p and its like first.
std::string shell_argument(const std::string& text);

// A value of a connection string, quoted by libpq's rules.
std::string conninfo_value(const std::string& text);

// How our pg_hba.conf and pg_ident.conf begin.
inline constexpr std::string_view kOurMark = "# Written by pgrevive";
inline constexpr const char* kReplicationRole = "pgrevive_replication";
inline constexpr const char* kIdentMap = "pgrevive";

// "pgrevive_replica_2" for the node "replica-2".
std::string slot_name(const std::string& node);

// Whether a server with `have` can replay WAL that demands `want`.
bool suffices(const postgres::ControlFile::Parameters& have,
              const postgres::ControlFile::Parameters& want);

// The greater of each.
postgres::ControlFile::Parameters greatest(const postgres::ControlFile::Parameters& a,
                                           const postgres::ControlFile::Parameters& b);

}  // namespace pgrevive::cluster
