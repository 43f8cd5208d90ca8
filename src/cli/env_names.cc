#include "cli/env_names.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

constexpr std::array kNames{
    EnvName{"RUNTIME", "local, or docker for containers"},
    EnvName{"CLUSTER_NAME", "the cluster's name"},
    EnvName{"POSTGRES_USER", "the superuser's name"},
    EnvName{"POSTGRES_PASSWORD", "the superuser's password", true},
    EnvName{"POSTGRES_DB", "the database that is made if it is not there"},
    EnvName{"POSTGRES_PRIMARY_PORT", "the primary's port"},
    EnvName{"POSTGRES_REPLICA_PORT", "the first replica's port"},
    EnvName{"ADMINER_PORT", "Adminer's port, 0 for none"},
    EnvName{"ADMINER_LISTEN", "the address Adminer listens on"},
    EnvName{"CONSOLE_PORT", "the console's port, 0 for none"},
    EnvName{"CONSOLE_LISTEN", "the address the console listens on"},
    EnvName{"CONSOLE_HOSTS", "host names the console may be called by, beside localhost"},
    EnvName{"REPLICAS", "the number of replicas, 0 to 4"},
    EnvName{"REPLICA_REBUILD", "auto, backup or primary"},
    EnvName{"LISTEN_ADDRESSES", "the addresses the servers listen on"},
    EnvName{"ALLOWED_NETWORKS", "the networks that may connect, beside localhost"},
    EnvName{"NODE_TLS", "on for TLS between the nodes, with certificates made here"},
    EnvName{"RESTORE_FROM_BACKUP", "true, or false for an empty new cluster"},
    EnvName{"PGBACKREST_STANZA", "the stanza"},
    EnvName{"PGBACKREST_PROCESS_MAX", "the number of decoding threads"},
    EnvName{"REPO_TYPE", "s3 or posix"},
    EnvName{"REPO_PATH", "the repository's directory"},
    EnvName{"REPO_CIPHER_PASS", "the repository's passphrase", true},
    EnvName{"S3_BUCKET", "the bucket's name"},
    EnvName{"S3_ENDPOINT", "the S3 server, such as s3.us-east-1.amazonaws.com"},
    EnvName{"S3_REGION", "the bucket's region, such as us-east-1"},
    EnvName{"S3_ACCESS_KEY", "the access key's id", true},
    EnvName{"S3_SECRET_KEY", "the secret access key", true},
    EnvName{"S3_SESSION_TOKEN", "the session token of temporary credentials", true},
    EnvName{"S3_PATH", "the repository's path in the bucket"},
    EnvName{"S3_URI_STYLE", "auto, host or path"},
    EnvName{"S3_VERIFY_TLS", "true, or false to trust any certificate"},
    EnvName{"S3_CA_FILE", "a file of CA certificates"},
    EnvName{"RESTORE_SET", "the label of the backup to restore"},
    EnvName{"DB_INCLUDE", "the only databases to restore, beside the system's own"},
    EnvName{"DB_EXCLUDE", "databases that are not restored"},
    EnvName{"DB_DROP_LEFT_OUT", "true to drop the databases that are not restored"},
    EnvName{"TABLESPACE_MAP", "where tablespaces of the nodes go, such as fast=/ssd"},
    EnvName{"TABLESPACE_MAP_ALL", "the directory for all tablespaces that have no place by name"},
    EnvName{"RECOVERY_TARGET_TYPE", "how far to recover"},
    EnvName{"RECOVERY_TARGET", "where recovery ends"},
    EnvName{"RECOVERY_TARGET_EXCLUSIVE", "true to stop just before the target"},
    EnvName{"RECOVERY_TARGET_TIMELINE", "the timeline to follow"},
    EnvName{"WAL_ARCHIVE", "own, source or off"},
    EnvName{"WAL_ARCHIVE_TYPE", "s3 or posix, for the cluster's own archive"},
    EnvName{"WAL_ARCHIVE_PATH", "where the cluster's own archive goes"},
    EnvName{"WAL_ARCHIVE_S3_BUCKET", "the name of the bucket of the cluster's own archive"},
    EnvName{"WAL_ARCHIVE_S3_ENDPOINT", "the S3 server of that bucket"},
    EnvName{"WAL_ARCHIVE_S3_REGION", "the region of that bucket"},
    EnvName{"WAL_ARCHIVE_S3_ACCESS_KEY", "the id of the access key that writes there", true},
    EnvName{"WAL_ARCHIVE_S3_SECRET_KEY", "the secret of the access key that writes there", true},
    EnvName{"WAL_ARCHIVE_S3_SESSION_TOKEN", "the session token of that key", true},
    EnvName{"WAL_ARCHIVE_S3_URI_STYLE", "auto, host or path"},
    EnvName{"WAL_ARCHIVE_S3_VERIFY_TLS", "true, or false to trust any certificate"},
    EnvName{"WAL_ARCHIVE_S3_CA_FILE", "a file of CA certificates"},
    EnvName{"WAL_ARCHIVE_CIPHER_PASS", "the passphrase of the cluster's own archive", true},
    EnvName{"WAL_ARCHIVE_BACKUP", "full: a first backup into the own archive; none"},
    EnvName{"WAL_ARCHIVE_SILENCE", "how long the source must be silent for WAL_ARCHIVE=source"},
    EnvName{"RETENTION_FULL", "how many full backups are kept"},
    EnvName{"RETENTION_DIFF", "how many differential backups are kept"},
    EnvName{"SHARED_BUFFERS", "PostgreSQL's shared_buffers"},
    EnvName{"EFFECTIVE_CACHE_SIZE", "PostgreSQL's effective_cache_size"},
    EnvName{"MAINTENANCE_WORK_MEM", "PostgreSQL's maintenance_work_mem"},
    EnvName{"WORK_MEM", "PostgreSQL's work_mem"},
    EnvName{"MAX_WAL_SENDERS", "PostgreSQL's max_wal_senders"},
    EnvName{"MAX_REPLICATION_SLOTS", "PostgreSQL's max_replication_slots"},
    EnvName{"POSTGRES_BIN", "the directory of the PostgreSQL programs"},
    EnvName{"DOCKER_LISTEN", "the address that the servers' ports are published on"},
    EnvName{"DOCKER_IMAGE", "the image's name"},
    EnvName{"DOCKER_VOLUMES", "what the names of the volumes begin with"},
    EnvName{"DOCKER_POSTGRES_MAJOR", "the PostgreSQL major of the image"},
    EnvName{"DOCKER_POSTGRES_APT", "where the image's PostgreSQL comes from"},
    EnvName{"DOCKER_LOCALES", "the locales of the image"},
    EnvName{"DOCKER_PACKAGES", "further packages of the image"},
    EnvName{"DOCKER_REPO_READ_ONLY", "false where Compose alone is to mount REPO_PATH for writing"},
};

// Of Docker itself, whose clients read the same file.
constexpr std::array kOfDocker{
    "DOCKER_API_VERSION",   "DOCKER_BUILDKIT", "DOCKER_CERT_PATH",      "DOCKER_CONFIG",
    "DOCKER_CONTENT_TRUST", "DOCKER_CONTEXT",  "DOCKER_CUSTOM_HEADERS", "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_HOST",          "DOCKER_TLS",      "DOCKER_TLS_VERIFY"};

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : static_cast<char>(c);
  });
  return result;
}

}  // namespace

const EnvName* find_env_name(std::string_view name) {
  const auto* found =
      std::ranges::find_if(kNames, [&](const EnvName& entry) { return name == entry.name; });
  return found == kNames.end() ? nullptr : found;
}

bool is_env_name_of_docker(std::string_view name) {
  return name.starts_with("COMPOSE_") || std::ranges::find(kOfDocker, name) != kOfDocker.end();
}

std::string_view secret_of_file_name(std::string_view name) {
  if (!name.ends_with("_FILE")) return {};
  name.remove_suffix(5);
  const EnvName* found = find_env_name(name);
  return found != nullptr && found->secret ? name : std::string_view();
}

std::vector<std::string> env_names() {
  std::vector<std::string> names;
  for (const EnvName& entry : kNames) names.emplace_back(entry.name);
  return names;
}

std::string unknown_env_name(const std::string& name) {
  if (const auto guess = closest(upper(name), env_names())) {
    // Told even when the name is odd: it is close to one of ours, so it is not a secret.
    return fmt::format("{} is not a name we know; did you mean {}?", printable(name, 40), *guess);
  }
  // A pasted key may look like NAME= (base64 ends so), hence only what looks like a name is shown.
  if (name != upper(name) || name.size() > 40) {
    return "the name before '=' is not one we know; .env.cluster.example lists them all";
  }
  return fmt::format(
      "{} is not a name we know; remove the line (.env.cluster.example lists all names)", name);
}

bool is_env_name_character(char c) {
  return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace pgrevive::cli
