#include "cli/env_settings.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/env_names.h"
#include "cli/natural_time.h"
#include "cli/target_check.h"
#include "cli/value_text.h"
#include "cluster/state_directory.h"

namespace pgrevive::cli {
namespace {

// Takes values out of the file one by one and gathers what is wrong with them.
class Reader {
 public:
  explicit Reader(const EnvFile& file) : file_(file), problems_(file.problems) {}

  void check_names() {
    for (const EnvEntry& entry : file_.entries) {
      if (is_env_name_of_docker(entry.name)) continue;
      if (find_env_name(entry.name) == nullptr) problem(entry, unknown_env_name(entry.name));
    }
  }

  // The value, where it is set, not empty and no placeholder.
  const EnvEntry* given(const char* name) {
    const EnvEntry* entry = file_.find(name);
    if (entry == nullptr || entry->value.empty()) return nullptr;
    if (is_placeholder(entry->value)) {
      problem(*entry, find_env_name(name)->secret
                          ? fmt::format("{} still holds the example's placeholder; write {}", name,
                                        find_env_name(name)->what)
                          : fmt::format("{} still holds the placeholder \"{}\"; write {}", name,
                                        printable(entry->value, 60), find_env_name(name)->what));
      return nullptr;
    }
    return entry;
  }

  const EnvEntry* required(const char* name, std::string_view why = {}) {
    const EnvEntry* entry = file_.find(name);
    if (entry == nullptr || entry->value.empty()) {
      problems_.push_back(
          {entry == nullptr ? 0 : entry->line,
           fmt::format("{} {}; write {}{}{}", name, entry == nullptr ? "is missing" : "is empty",
                       find_env_name(name)->what, why.empty() ? "" : " ", why)});
      return nullptr;
    }
    return given(name);
  }

  bool any_of(std::initializer_list<const char*> names) const {
    return std::ranges::any_of(names, [&](const char* name) {
      const EnvEntry* entry = file_.find(name);
      return entry != nullptr && !entry->value.empty();
    });
  }

  void text(const char* name, std::string& into) {
    if (const EnvEntry* entry = given(name)) into = entry->value;
  }
  void secret(const char* name, Secret& into) {
    if (const EnvEntry* entry = given(name)) into = Secret(entry->value);
  }
  void boolean(const char* name, bool& into) {
    if (const EnvEntry* entry = given(name)) {
      if (const auto value = parse_boolean(entry->value)) {
        into = *value;
      } else {
        bad(*entry, "write true or false");
      }
    }
  }
  template <typename Integer>
  void number(const char* name, Integer& into, std::uint64_t least, std::uint64_t most) {
    if (const EnvEntry* entry = given(name)) {
      const auto value = parse_unsigned(entry->value);
      if (value && *value >= least && *value <= most) {
        into = static_cast<Integer>(*value);
      } else {
        bad(*entry, fmt::format("write a whole number from {} to {}", least, most));
      }
    }
  }
  void number(const char* name, std::optional<int>& into, std::uint64_t least, std::uint64_t most) {
    if (given(name) != nullptr) {
      int value = -1;
      number(name, value, least, most);
      if (value >= 0) into = value;
    }
  }
  void size(const char* name, std::string& into) {
    if (const EnvEntry* entry = given(name)) {
      if (is_postgres_size(entry->value)) {
        into = entry->value;
      } else {
        bad(*entry,
            "write a number and one of kB, MB, GB, TB as PostgreSQL spells them, such as 256MB");
      }
    }
  }
  void absolute_path(const char* name, std::filesystem::path& into) {
    if (const EnvEntry* entry = given(name)) {
      if (entry->value.front() == '/') {
        into = entry->value;
      } else {
        bad(*entry, "write the whole path, beginning with /");
      }
    }
  }

  void problem(const EnvEntry& entry, std::string text) {
    problems_.push_back({entry.line, std::move(text)});
  }
  // For values that are not secret.
  void bad(const EnvEntry& entry, const std::string& remedy) {
    problem(entry,
            fmt::format("{}={} cannot be; {}", entry.name, printable(entry.value, 60), remedy));
  }

  const EnvFile& file() const { return file_; }

  void throw_if_wrong() {
    if (problems_.empty()) return;
    std::ranges::stable_sort(problems_, [](const EnvProblem& a, const EnvProblem& b) {
      // What is missing comes last.
      return (a.line == 0 ? 1 << 30 : a.line) < (b.line == 0 ? 1 << 30 : b.line);
    });
    const std::string name = file_.path.empty() ? ".env" : file_.path.string();
    std::string message = problems_.size() == 1
                              ? fmt::format("{} has a problem:", name)
                              : fmt::format("{} has {} problems:", name, problems_.size());
    for (const EnvProblem& found : problems_) {
      message += found.line == 0 ? fmt::format("\n  {}", found.text)
                                 : fmt::format("\n  line {}: {}", found.line, found.text);
    }
    throw Error(ErrorKind::usage, message)
        .with_hint(
            file_.path.empty()
                ? "copy .env.cluster.example to .env and fill it in, or name a file with --env-file"
                : "mend these lines and run the command again; nothing has been done yet");
  }

 private:
  const EnvFile& file_;
  std::vector<EnvProblem> problems_;
};

std::optional<repository::RepositoryOptions::Type> read_type(Reader& reader, const char* name) {
  using Type = repository::RepositoryOptions::Type;
  const EnvEntry* entry = reader.given(name);
  if (entry == nullptr) return {};
  if (entry->value == "posix") return Type::posix;
  if (entry->value == "s3") return Type::s3;
  reader.bad(*entry, "write s3, or posix for a local directory");
  return {};
}

void read_endpoint(Reader& reader, const char* name, std::string& into) {
  const EnvEntry* entry = reader.given(name);
  if (entry == nullptr) return;
  std::string_view rest = entry->value;
  if (const std::size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (rest.substr(0, scheme) != "http" && rest.substr(0, scheme) != "https") {
      reader.bad(*entry, "write http:// or https:// or no scheme at all, which is https");
    }
    rest.remove_prefix(scheme + 3);
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/ \t@?#") != std::string_view::npos) {
    reader.bad(*entry,
               "write a host with an optional port; bucket and path have names of their own");
  }
  into = entry->value;
  while (into.ends_with('/')) into.pop_back();
}

std::optional<storage::UriStyle> read_uri_style(Reader& reader, const char* name) {
  const EnvEntry* entry = reader.given(name);
  if (entry == nullptr) return {};
  if (entry->value == "auto") return storage::UriStyle::automatic;
  if (entry->value == "host") return storage::UriStyle::host;
  if (entry->value == "path") return storage::UriStyle::path;
  reader.bad(*entry, "write auto, host or path");
  return {};
}

void read_ca_file(Reader& reader, const char* name, std::filesystem::path& into) {
  const EnvEntry* entry = reader.given(name);
  if (entry == nullptr) return;
  into = reader.file().path.parent_path() / entry->value;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(into, ignored)) {
    reader.bad(*entry, "there is no such file; write the path of a PEM file");
  }
}

void read_backup_set(Reader& reader, cluster::Settings& settings) {
  reader.text("RESTORE_SET", settings.backup_set.emplace());
  if (settings.backup_set->empty()) {
    settings.backup_set.reset();
  } else if (*settings.backup_set != "latest") {
    try {
      repository::BackupLabel::parse(*settings.backup_set);
    } catch (const Error&) {
      reader.bad(*reader.file().find("RESTORE_SET"),
                 "write a label as `pgrevive info` shows it, such as 20240115-020000F");
    }
  }
}

void read_repository(Reader& reader, cluster::Settings& settings) {
  repository::RepositoryOptions& repository = settings.repository;
  using Type = repository::RepositoryOptions::Type;

  repository.type = read_type(reader, "REPO_TYPE").value_or(repository.type);
  if (const EnvEntry* entry = reader.given("PGBACKREST_STANZA")) {
    if (entry->value.find_first_of("/ \t'\"") == std::string::npos) {
      repository.stanza = entry->value;
    } else {
      reader.bad(*entry, "write the stanza's name, without blanks, quotes or slashes");
    }
  }
  reader.secret("REPO_CIPHER_PASS", repository.cipher_passphrase);
  reader.number("PGBACKREST_PROCESS_MAX", settings.process_max, 1, 999);

  if (repository.type == Type::posix) {
    if (reader.required("REPO_PATH", "(REPO_TYPE is posix)") != nullptr) {
      reader.absolute_path("REPO_PATH", repository.path);
    }
    return;
  }

  storage::S3Options& s3 = repository.s3;
  if (const EnvEntry* entry = reader.required("S3_BUCKET")) s3.bucket = entry->value;
  if (const EnvEntry* entry = reader.required("S3_REGION")) s3.region = entry->value;
  if (const EnvEntry* entry = reader.required("S3_ACCESS_KEY"))
    s3.access_key = Secret(entry->value);
  if (const EnvEntry* entry = reader.required("S3_SECRET_KEY"))
    s3.secret_key = Secret(entry->value);
  reader.secret("S3_SESSION_TOKEN", s3.session_token);
  if (!s3.region.empty()) s3.endpoint = storage::amazon_endpoint(s3.region);
  read_endpoint(reader, "S3_ENDPOINT", s3.endpoint);
  s3.prefix = "/pgbackrest";
  reader.text("S3_PATH", s3.prefix);
  s3.uri_style = read_uri_style(reader, "S3_URI_STYLE").value_or(s3.uri_style);
  reader.boolean("S3_VERIFY_TLS", s3.verify_tls);
  read_ca_file(reader, "S3_CA_FILE", s3.ca_file);
}

// What of the cluster's own archive is not the source's.
void read_own_archive(Reader& reader, cluster::Settings& settings) {
  cluster::OwnArchive& own = settings.own_archive;
  own.type = read_type(reader, "WAL_ARCHIVE_TYPE");
  if (const EnvEntry* entry = reader.given("WAL_ARCHIVE_PATH")) {
    own.path = entry->value;
    if (entry->value.front() != '/') reader.bad(*entry, "write the whole path, beginning with /");
  }
  reader.secret("WAL_ARCHIVE_CIPHER_PASS", own.cipher_passphrase);
  reader.text("WAL_ARCHIVE_S3_BUCKET", own.bucket);
  read_endpoint(reader, "WAL_ARCHIVE_S3_ENDPOINT", own.endpoint);
  reader.text("WAL_ARCHIVE_S3_REGION", own.region);
  if (reader.any_of({"WAL_ARCHIVE_S3_ACCESS_KEY", "WAL_ARCHIVE_S3_SECRET_KEY",
                     "WAL_ARCHIVE_S3_SESSION_TOKEN"})) {
    constexpr const char* kWhy = "(keys come as a pair)";
    if (const EnvEntry* entry = reader.required("WAL_ARCHIVE_S3_ACCESS_KEY", kWhy))
      own.access_key = Secret(entry->value);
    if (const EnvEntry* entry = reader.required("WAL_ARCHIVE_S3_SECRET_KEY", kWhy))
      own.secret_key = Secret(entry->value);
    reader.secret("WAL_ARCHIVE_S3_SESSION_TOKEN", own.session_token);
  }
  own.uri_style = read_uri_style(reader, "WAL_ARCHIVE_S3_URI_STYLE");
  if (bool verify = true; reader.given("WAL_ARCHIVE_S3_VERIFY_TLS") != nullptr) {
    reader.boolean("WAL_ARCHIVE_S3_VERIFY_TLS", verify);
    own.verify_tls = verify;
  }
  read_ca_file(reader, "WAL_ARCHIVE_S3_CA_FILE", own.ca_file);

  const bool local = own.type == repository::RepositoryOptions::Type::posix;
  const bool taken_over = settings.wal_archive == cluster::WalArchiveMode::source;
  if (!local && !taken_over) return;
  for (const EnvEntry& entry : reader.file().entries) {
    if (!entry.name.starts_with("WAL_ARCHIVE_S3_") || entry.value.empty()) continue;
    reader.problem(entry, taken_over
                              ? entry.name +
                                    " is of WAL_ARCHIVE=own; WAL_ARCHIVE=source writes "
                                    "where S3_BUCKET says, with its keys"
                              : entry.name + " is of a bucket, and WAL_ARCHIVE_TYPE is posix");
  }
}

// Names or OIDs with commas between them.
void read_databases(Reader& reader, const char* name, std::vector<std::string>& into) {
  const EnvEntry* entry = reader.given(name);
  if (entry == nullptr) return;
  for (const std::string& part : split(entry->value, ',')) {
    if (trim(part).empty()) {
      reader.bad(*entry, "write names of databases with commas between them, or their OIDs");
      return;
    }
    into.emplace_back(trim(part));
  }
}

// [NODE:]TABLESPACE=DIRECTORY with commas between them.
void read_tablespace_map(Reader& reader, cluster::Settings& settings) {
  reader.absolute_path("TABLESPACE_MAP_ALL", settings.tablespaces.all);
  if (!settings.tablespaces.all.empty())
    settings.tablespaces.all = whole_path(settings.tablespaces.all);
  const EnvEntry* entry = reader.given("TABLESPACE_MAP");
  if (entry == nullptr) return;
  const auto nodes = cluster::node_names(settings.replicas);
  for (const std::string& part : split(entry->value, ',')) {
    const std::string_view word = trim(part);
    const auto equals = word.find('=');
    const auto directory = equals == std::string_view::npos ? "" : trim(word.substr(equals + 1));
    std::string_view tablespace = trim(word.substr(0, equals));
    cluster::TablespaceMap::Entry found;
    if (const auto colon = tablespace.find(':'); colon != std::string_view::npos) {
      found.node = trim(tablespace.substr(0, colon));
      tablespace = trim(tablespace.substr(colon + 1));
      if (std::ranges::find(nodes, found.node) == nodes.end()) {
        reader.bad(*entry, fmt::format("there is no node {} (the nodes are {})",
                                       printable(found.node, 40), fmt::join(nodes, ", ")));
        return;
      }
    }
    if (tablespace.empty() || !directory.starts_with('/')) {
      reader.bad(*entry,
                 "write TABLESPACE=DIRECTORY, or NODE:TABLESPACE=DIRECTORY, with commas between "
                 "them, such as fast=/ssd,replica:fast=/disk");
      return;
    }
    found.tablespace = tablespace;
    found.directory = whole_path(directory);
    settings.tablespaces.entries.push_back(std::move(found));
  }
}

void read_target(Reader& reader, restore::RecoveryTarget& target) {
  const EnvEntry* type = reader.given("RECOVERY_TARGET_TYPE");
  const EnvEntry* value = reader.given("RECOVERY_TARGET");
  if (type != nullptr) {
    const auto parsed = restore::parse_recovery_type(type->value);
    using restore::RecoveryType;
    if (!parsed || *parsed == RecoveryType::none || *parsed == RecoveryType::preserve ||
        *parsed == RecoveryType::standby) {
      reader.bad(*type, "write default, immediate, time, name, lsn or xid");
      return;
    }
    target.type = *parsed;
  }
  const bool takes_value = target.type != restore::RecoveryType::latest &&
                           target.type != restore::RecoveryType::immediate;
  if (takes_value && value == nullptr) {
    if (reader.file().find("RECOVERY_TARGET") == nullptr ||
        reader.file().find("RECOVERY_TARGET")->value.empty()) {
      reader.problem(*type, fmt::format("RECOVERY_TARGET_TYPE={} needs RECOVERY_TARGET beside it",
                                        type->value));
    }
  } else if (!takes_value && value != nullptr) {
    reader.problem(*value,
                   "RECOVERY_TARGET needs RECOVERY_TARGET_TYPE=time, name, lsn or xid beside it");
  } else if (value != nullptr) {
    target.target = value->value;
    if (target.type == restore::RecoveryType::time && is_relative_time(target.target)) {
      reader.bad(*value, "it would be another moment at each start; write it with its date");
    } else if (const std::string remedy =
                   read_target_text(target.type, target.target, std::chrono::system_clock::now());
               !remedy.empty()) {
      reader.bad(*value, remedy);
    }
  }
  reader.boolean("RECOVERY_TARGET_EXCLUSIVE", target.exclusive);
  using Type = restore::RecoveryType;
  if (target.exclusive && target.type != Type::time && target.type != Type::lsn &&
      target.type != Type::xid) {
    reader.bad(*reader.file().find("RECOVERY_TARGET_EXCLUSIVE"),
               "it has a meaning for a target of type time, lsn or xid only");
  }
  reader.text("RECOVERY_TARGET_TIMELINE", target.timeline);
}

void check_ports(Reader& reader, const cluster::Settings& settings) {
  std::map<int, std::string> taken;
  const auto take = [&](int port, const char* name, const std::string& who) {
    const auto [other, free] = taken.emplace(port, who);
    if (free) return;
    const EnvEntry* entry = reader.file().find(name);
    const std::string text = fmt::format(
        "{} and {} would both be on port {}; give them different ports", other->second, who, port);
    reader.problem(entry != nullptr ? *entry : EnvEntry{}, text);
  };
  take(settings.primary_port, "POSTGRES_PRIMARY_PORT", "the primary");
  for (int i = 0; i < settings.replicas; ++i) {
    const int port = settings.replica_port + i;
    if (port > 65535) {
      const EnvEntry* entry = reader.file().find("POSTGRES_REPLICA_PORT");
      reader.problem(
          entry != nullptr ? *entry : EnvEntry{},
          "the replicas' ports count up from POSTGRES_REPLICA_PORT and pass 65535; begin lower");
      return;
    }
    take(port, "POSTGRES_REPLICA_PORT", i == 0 ? "the replica" : fmt::format("replica {}", i + 1));
  }
  if (settings.adminer_port != 0) take(settings.adminer_port, "ADMINER_PORT", "Adminer");
  if (settings.console_port != 0) take(settings.console_port, "CONSOLE_PORT", "the console");
}

void read_cluster(Reader& reader, cluster::Settings& settings) {
  // Which of the two it is is the front door's to act on.
  if (const EnvEntry* entry = reader.given("RUNTIME");
      entry != nullptr && entry->value != "local" && entry->value != "docker") {
    reader.bad(*entry, "write local or docker");
  }
  if (const EnvEntry* entry = reader.given("CLUSTER_NAME")) {
    const std::string wrong = cluster_name_problem(entry->value);
    if (wrong.empty()) {
      settings.cluster_name = entry->value;
    } else {
      reader.bad(*entry, wrong);
    }
  }
  reader.text("POSTGRES_USER", settings.user);
  if (const EnvEntry* entry = reader.required("POSTGRES_PASSWORD")) {
    settings.password = Secret(entry->value);
  }
  reader.text("POSTGRES_DB", settings.database);
  for (const char* name : {"POSTGRES_USER", "POSTGRES_DB"}) {
    if (const EnvEntry* entry = reader.file().find(name);
        entry != nullptr && entry->value.size() > 63) {
      reader.problem(
          *entry,
          fmt::format("{} is longer than the 63 bytes of a PostgreSQL name; shorten it", name));
    }
  }
  reader.number("POSTGRES_PRIMARY_PORT", settings.primary_port, 1, 65535);
  reader.number("POSTGRES_REPLICA_PORT", settings.replica_port, 1, 65535);
  reader.number("ADMINER_PORT", settings.adminer_port, 0, 65535);
  reader.number("CONSOLE_PORT", settings.console_port, 0, 65535);
  reader.number("REPLICAS", settings.replicas, 0, 4);
  if (const EnvEntry* entry = reader.given("REPLICA_REBUILD")) {
    if (entry->value == "auto") {
      settings.replica_rebuild = cluster::ReplicaRebuild::sooner;
    } else if (entry->value == "backup") {
      settings.replica_rebuild = cluster::ReplicaRebuild::backup;
    } else if (entry->value == "primary") {
      settings.replica_rebuild = cluster::ReplicaRebuild::primary;
    } else {
      reader.bad(*entry, "write auto, backup or primary");
    }
  }
  check_ports(reader, settings);

  reader.text("LISTEN_ADDRESSES", settings.listen_addresses);
  const auto address = [&](const char* name, std::string& value) {
    const EnvEntry* entry = reader.given(name);
    if (entry == nullptr) return;
    value = entry->value;
    // As Compose wants an IPv6 address.
    if (value.starts_with('[') && value.ends_with(']')) value = value.substr(1, value.size() - 2);
    if (!parse_network(value) || value.find('/') != std::string::npos) {
      reader.bad(*entry, "write an IP address, such as 127.0.0.1 or 0.0.0.0");
    }
  };
  address("ADMINER_LISTEN", settings.adminer_listen);
  address("CONSOLE_LISTEN", settings.console_listen);
  if (const EnvEntry* entry = reader.given("CONSOLE_HOSTS")) {
    std::string list = entry->value;
    std::ranges::replace(list, ' ', ',');
    for (const std::string& part : split(list, ',')) {
      if (!part.empty()) settings.console_hosts.push_back(part);
      if (part.find_first_of(":/") != std::string::npos) {
        reader.problem(*entry,
                       fmt::format("CONSOLE_HOSTS: \"{}\" is not a host name; write such as "
                                   "db1.example.org, without a port",
                                   printable(part, 60)));
      }
    }
  }
  if (const EnvEntry* entry = reader.given("ALLOWED_NETWORKS")) {
    std::string list = entry->value;
    std::ranges::replace(list, ' ', ',');
    for (const std::string& part : split(list, ',')) {
      if (trim(part).empty()) continue;
      if (const auto network = parse_network(trim(part))) {
        settings.allowed_networks.push_back(*network);
      } else {
        reader.problem(*entry,
                       fmt::format("ALLOWED_NETWORKS: \"{}\" is not a network; write such as "
                                   "10.0.0.0/8, several with commas between them",
                                   printable(trim(part), 60)));
      }
    }
  }

  reader.boolean("NODE_TLS", settings.node_tls);

  if (const EnvEntry* entry = reader.given("WAL_ARCHIVE")) {
    if (entry->value == "own") {
      settings.wal_archive = cluster::WalArchiveMode::own;
    } else if (entry->value == "source") {
      settings.wal_archive = cluster::WalArchiveMode::source;
    } else if (entry->value == "off") {
      settings.wal_archive = cluster::WalArchiveMode::off;
    } else {
      reader.bad(*entry, "write own, source or off");
    }
  }
  read_own_archive(reader, settings);
  if (const EnvEntry* entry = reader.given("WAL_ARCHIVE_BACKUP")) {
    settings.first_backup = entry->value == "full";
    if (entry->value != "full" && entry->value != "none") {
      reader.bad(*entry, "write full or none");
    } else if (settings.first_backup && settings.wal_archive != cluster::WalArchiveMode::own) {
      reader.problem(*entry,
                     "WAL_ARCHIVE_BACKUP is of WAL_ARCHIVE=own; another archive is not the "
                     "cluster's to begin");
    }
  }
  reader.number("WAL_ARCHIVE_SILENCE", settings.takeover_silence_seconds, 0, 86'400);
  reader.number("RETENTION_FULL", settings.retention_full, 1, 9'999'999);
  reader.number("RETENTION_DIFF", settings.retention_diff, 1, 9'999'999);

  reader.size("SHARED_BUFFERS", settings.shared_buffers);
  reader.size("EFFECTIVE_CACHE_SIZE", settings.effective_cache_size);
  reader.size("MAINTENANCE_WORK_MEM", settings.maintenance_work_mem);
  reader.size("WORK_MEM", settings.work_mem);
  reader.number("MAX_WAL_SENDERS", settings.max_wal_senders, 0, 262'143);
  reader.number("MAX_REPLICATION_SLOTS", settings.max_replication_slots, 0, 262'143);
  // pg_basebackup and a second connection of a replica that reconnects want a sender too.
  if (settings.max_wal_senders && *settings.max_wal_senders < settings.replicas + 1) {
    reader.bad(
        *reader.file().find("MAX_WAL_SENDERS"),
        fmt::format("{} replicas need at least {}", settings.replicas, settings.replicas + 1));
  }
  if (settings.max_replication_slots && *settings.max_replication_slots < settings.replicas) {
    reader.bad(*reader.file().find("MAX_REPLICATION_SLOTS"),
               fmt::format("each of the {} replicas needs one", settings.replicas));
  }
  reader.absolute_path("POSTGRES_BIN", settings.postgres_binaries);
  if (settings.restore_from_backup) {
    read_target(reader, settings.target);
    read_databases(reader, "DB_INCLUDE", settings.databases.include);
    read_databases(reader, "DB_EXCLUDE", settings.databases.exclude);
    reader.boolean("DB_DROP_LEFT_OUT", settings.drop_left_out);
    read_tablespace_map(reader, settings);
  }
}

}  // namespace

cluster::Settings settings_from_env(const EnvFile& file, EnvNeeds needs) {
  Reader reader(file);
  reader.check_names();
  cluster::Settings settings;
  if (needs.cluster) reader.boolean("RESTORE_FROM_BACKUP", settings.restore_from_backup);
  // The backup may be one of a repository that stands elsewhere.
  if (settings.restore_from_backup) read_backup_set(reader, settings);
  if (needs.repository && settings.restore_from_backup) read_repository(reader, settings);
  if (needs.cluster) read_cluster(reader, settings);
  reader.throw_if_wrong();
  return settings;
}

bool env_names_repository(const EnvFile& file) {
  return std::ranges::any_of(file.entries, [](const EnvEntry& entry) {
    return !entry.value.empty() &&
           (entry.name.starts_with("S3_") || entry.name.starts_with("REPO_"));
  });
}

std::string cluster_name_from_env(const EnvFile& file) {
  const EnvEntry* entry = file.find("CLUSTER_NAME");
  if (entry == nullptr || entry->value.empty()) return cluster::Settings{}.cluster_name;
  if (const std::string wrong = cluster_name_problem(entry->value); !wrong.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{} line {}: CLUSTER_NAME={} cannot be", file.path.string(),
                            entry->line, printable(entry->value, 60)))
        .with_hint(wrong);
  }
  return entry->value;
}

std::string cluster_name_problem(std::string_view name) {
  const bool fine = !name.empty() && name.size() <= 63 && name.front() != '.' &&
                    name.front() != '-' && std::ranges::all_of(name, [](char c) {
                      return is_env_name_character(c) || c == '-' || c == '.';
                    });
  return fine ? "" : "write letters, digits, '-', '_' and '.', 63 at most, a letter or digit first";
}

}  // namespace pgrevive::cli
