#include "cluster/settings.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cluster/progress_json.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, const char*>, N>;

constexpr Names<WalArchiveMode, 3> kWalArchiveModes{{{WalArchiveMode::own, "own"},
                                                     {WalArchiveMode::source, "source"},
                                                     {WalArchiveMode::off, "off"}}};
constexpr Names<ReplicaRebuild, 3> kReplicaRebuilds{{{ReplicaRebuild::sooner, "auto"},
                                                     {ReplicaRebuild::backup, "backup"},
                                                     {ReplicaRebuild::primary, "primary"}}};
constexpr Names<storage::UriStyle, 3> kUriStyles{{{storage::UriStyle::automatic, "auto"},
                                                  {storage::UriStyle::host, "host"},
                                                  {storage::UriStyle::path, "path"}}};
constexpr Names<repository::RepositoryOptions::Type, 2> kRepositoryTypes{
    {{repository::RepositoryOptions::Type::posix, "posix"},
     {repository::RepositoryOptions::Type::s3, "s3"}}};
constexpr Names<restore::RecoveryType, 9> kRecoveryTypes{
    {{restore::RecoveryType::latest, "default"},
     {restore::RecoveryType::immediate, "immediate"},
     {restore::RecoveryType::time, "time"},
     {restore::RecoveryType::name, "name"},
     {restore::RecoveryType::lsn, "lsn"},
     {restore::RecoveryType::xid, "xid"},
     {restore::RecoveryType::standby, "standby"},
     {restore::RecoveryType::none, "none"},
     {restore::RecoveryType::preserve, "preserve"}}};

template <typename Enum, std::size_t N>
std::string name_in(const Names<Enum, N>& names, Enum value) {
  for (const auto& [known, text] : names)
    if (known == value) return text;
  throw Error(ErrorKind::internal, "a value of settings.json has no name");
}

template <typename Enum, std::size_t N>
Enum value_in(const Names<Enum, N>& names, const std::string& text) {
  for (const auto& [known, name] : names)
    if (name == text) return known;
  throw Error(ErrorKind::corrupt, "settings.json: unknown value '" + text + "'");
}

json repository_to_json(const repository::RepositoryOptions& repository) {
  const auto& s3 = repository.s3;
  return {{"type", name_in(kRepositoryTypes, repository.type)},
          {"path", repository.path.string()},
          {"stanza", repository.stanza},
          {"cipher_passphrase", repository.cipher_passphrase.reveal()},
          {"s3",
           {{"bucket", s3.bucket},
            {"prefix", s3.prefix},
            {"endpoint", s3.endpoint},
            {"region", s3.region},
            {"access_key", s3.access_key.reveal()},
            {"secret_key", s3.secret_key.reveal()},
            {"session_token", s3.session_token.reveal()},
            {"uri_style", name_in(kUriStyles, s3.uri_style)},
            {"connect_host", s3.connect_host},
            {"connect_port", s3.connect_port},
            {"verify_tls", s3.verify_tls},
            {"ca_file", s3.ca_file.string()},
            {"ca_path", s3.ca_path.string()},
            {"stall_timeout_ms", s3.stall_timeout.count()}}}};
}

repository::RepositoryOptions repository_from_json(const json& j) {
  repository::RepositoryOptions repository;
  repository.type = value_in(kRepositoryTypes, j.at("type").get<std::string>());
  repository.path = j.at("path").get<std::string>();
  repository.stanza = j.at("stanza").get<std::string>();
  repository.cipher_passphrase = Secret(j.at("cipher_passphrase").get<std::string>());
  const auto& from = j.at("s3");
  auto& s3 = repository.s3;
  s3.bucket = from.at("bucket").get<std::string>();
  s3.prefix = from.at("prefix").get<std::string>();
  s3.endpoint = from.at("endpoint").get<std::string>();
  s3.region = from.at("region").get<std::string>();
  s3.access_key = Secret(from.at("access_key").get<std::string>());
  s3.secret_key = Secret(from.at("secret_key").get<std::string>());
  s3.session_token = Secret(from.at("session_token").get<std::string>());
  s3.uri_style = value_in(kUriStyles, from.at("uri_style").get<std::string>());
  s3.connect_host = from.at("connect_host").get<std::string>();
  s3.connect_port = from.at("connect_port").get<int>();
  s3.verify_tls = from.at("verify_tls").get<bool>();
  s3.ca_file = from.at("ca_file").get<std::string>();
  s3.ca_path = from.at("ca_path").get<std::string>();
  s3.stall_timeout = std::chrono::milliseconds(
      from.value("stall_timeout_ms", storage::S3Options().stall_timeout.count()));
  return repository;
}

template <typename T>
json optional_to_json(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

template <typename T>
std::optional<T> optional_from_json(const json& j) {
  return j.is_null() ? std::optional<T>() : std::optional<T>(j.get<T>());
}

json tablespaces_to_json(const TablespaceMap& map) {
  json entries = json::array();
  for (const auto& entry : map.entries)
    entries.push_back({{"node", entry.node},
                       {"tablespace", entry.tablespace},
                       {"directory", entry.directory.string()}});
  return {{"entries", std::move(entries)}, {"all", map.all.string()}};
}

TablespaceMap tablespaces_from_json(const json& j) {
  TablespaceMap map;
  for (const auto& entry : j.at("entries"))
    map.entries.push_back({.node = entry.at("node").get<std::string>(),
                           .tablespace = entry.at("tablespace").get<std::string>(),
                           .directory = entry.at("directory").get<std::string>()});
  map.all = j.at("all").get<std::string>();
  return map;
}

// Null is the source's.
json own_archive_to_json(const OwnArchive& own) {
  return {{"type", own.type ? json(name_in(kRepositoryTypes, *own.type)) : json(nullptr)},
          {"path", optional_to_json(own.path)},
          {"bucket", own.bucket},
          {"endpoint", own.endpoint},
          {"region", own.region},
          {"access_key", own.access_key.reveal()},
          {"secret_key", own.secret_key.reveal()},
          {"session_token", own.session_token.reveal()},
          {"uri_style", own.uri_style ? json(name_in(kUriStyles, *own.uri_style)) : json(nullptr)},
          {"verify_tls", optional_to_json(own.verify_tls)},
          {"ca_file", own.ca_file.string()},
          {"cipher_passphrase", own.cipher_passphrase.reveal()}};
}

OwnArchive own_archive_from_json(const json& j) {
  OwnArchive own;
  if (const auto type = optional_from_json<std::string>(j.at("type")))
    own.type = value_in(kRepositoryTypes, *type);
  own.path = optional_from_json<std::string>(j.at("path"));
  own.bucket = j.at("bucket").get<std::string>();
  own.endpoint = j.at("endpoint").get<std::string>();
  own.region = j.at("region").get<std::string>();
  own.access_key = Secret(j.at("access_key").get<std::string>());
  own.secret_key = Secret(j.at("secret_key").get<std::string>());
  own.session_token = Secret(j.at("session_token").get<std::string>());
  if (const auto style = optional_from_json<std::string>(j.at("uri_style")))
    own.uri_style = value_in(kUriStyles, *style);
  own.verify_tls = optional_from_json<bool>(j.at("verify_tls"));
  own.ca_file = j.at("ca_file").get<std::string>();
  own.cipher_passphrase = Secret(j.at("cipher_passphrase").get<std::string>());
  return own;
}

json point_to_json(const std::optional<TargetPoint>& point) {
  if (!point) return nullptr;
  return {{"backup", point->backup},  {"what", point->what}, {"begin", point->begin.text()},
          {"end", point->end.text()}, {"time", point->time}, {"timeline", point->timeline},
          {"segment", point->segment}};
}

std::optional<TargetPoint> point_from_json(const json& j) {
  if (j.is_null()) return {};
  TargetPoint point;
  point.backup = j.at("backup").get<std::string>();
  point.what = j.at("what").get<std::string>();
  point.begin = postgres::Lsn::parse(j.at("begin").get<std::string>());
  point.end = postgres::Lsn::parse(j.at("end").get<std::string>());
  point.time = j.at("time").get<std::int64_t>();
  point.timeline = j.at("timeline").get<std::uint32_t>();
  point.segment = j.at("segment").get<std::string>();
  return point;
}

}  // namespace

bool OwnArchive::has_s3_of_its_own() const {
  return !bucket.empty() || !endpoint.empty() || !region.empty() || !access_key.empty() ||
         uri_style || verify_tls || !ca_file.empty();
}

std::string name_of(WalArchiveMode mode) { return name_in(kWalArchiveModes, mode); }

int port_of(const Settings& settings, const std::string& node) {
  if (node == "primary") return settings.primary_port;
  if (node == "replica") return settings.replica_port;
  // "replica-2" has the port after the first replica's.
  const auto number = parse_unsigned(node.substr(std::string_view("replica-").size()));
  return settings.replica_port + static_cast<int>(number.value_or(1)) - 1;
}

std::string host_of(const Settings& settings, const std::string& node) {
  return settings.cluster_name + "-" + node;
}

std::string to_json(const Settings& settings) {
  const auto& target = settings.target;
  const json j = {
      {"cluster_name", settings.cluster_name},
      {"user", settings.user},
      {"password", settings.password.reveal()},
      {"database", settings.database},
      {"primary_port", settings.primary_port},
      {"replica_port", settings.replica_port},
      {"adminer_port", settings.adminer_port},
      {"adminer_listen", settings.adminer_listen},
      {"console_port", settings.console_port},
      {"console_listen", settings.console_listen},
      {"console_hosts", settings.console_hosts},
      {"replicas", settings.replicas},
      {"replica_rebuild", name_in(kReplicaRebuilds, settings.replica_rebuild)},
      {"listen_addresses", settings.listen_addresses},
      {"allowed_networks", settings.allowed_networks},
      {"node_tls", settings.node_tls},
      {"restore_from_backup", settings.restore_from_backup},
      {"repository", repository_to_json(settings.repository)},
      {"backup_set", optional_to_json(settings.backup_set)},
      {"target",
       {{"type", name_in(kRecoveryTypes, target.type)},
        {"target", target.target},
        {"exclusive", target.exclusive},
        {"timeline", target.timeline},
        {"action", target.action}}},
      {"target_given", settings.target_given},
      {"point", point_to_json(settings.point)},
      {"chosen_backup", optional_to_json(settings.chosen_backup)},
      {"lines_beside", to_value(settings.lines_beside)},
      {"missing_locales", to_value(settings.missing_locales)},
      {"db_include", settings.databases.include},
      {"db_exclude", settings.databases.exclude},
      {"drop_left_out", settings.drop_left_out},
      {"tablespaces", tablespaces_to_json(settings.tablespaces)},
      {"process_max", settings.process_max},
      {"wal_archive", name_in(kWalArchiveModes, settings.wal_archive)},
      {"own_archive", own_archive_to_json(settings.own_archive)},
      {"takeover_silence_seconds", settings.takeover_silence_seconds},
      {"first_backup", settings.first_backup},
      {"retention_full", settings.retention_full},
      {"retention_diff", settings.retention_diff},
      {"shared_buffers", settings.shared_buffers},
      {"effective_cache_size", settings.effective_cache_size},
      {"maintenance_work_mem", settings.maintenance_work_mem},
      {"work_mem", settings.work_mem},
      {"max_wal_senders", optional_to_json(settings.max_wal_senders)},
      {"max_replication_slots", optional_to_json(settings.max_replication_slots)},
      {"postgres_binaries", settings.postgres_binaries.string()},
      {"containers", settings.containers},
  };
  try {
    return j.dump(2) + '\n';
  } catch (const json::exception&) {
    throw Error(ErrorKind::usage, "a setting is not valid UTF-8")
        .with_hint("look for a password or path with letters in another encoding");
  }
}

Settings from_json(const std::string& text) {
  try {
    const json j = json::parse(text);
    Settings settings;
    settings.cluster_name = j.at("cluster_name").get<std::string>();
    settings.user = j.at("user").get<std::string>();
    settings.password = Secret(j.at("password").get<std::string>());
    settings.database = j.at("database").get<std::string>();
    settings.primary_port = j.at("primary_port").get<int>();
    settings.replica_port = j.at("replica_port").get<int>();
    settings.adminer_port = j.at("adminer_port").get<int>();
    settings.adminer_listen = j.at("adminer_listen").get<std::string>();
    // A cluster of a version without it gets one with the next start that says so.
    settings.console_port = j.value("console_port", 0);
    settings.console_listen = j.value("console_listen", std::string("127.0.0.1"));
    settings.console_hosts = j.value("console_hosts", std::vector<std::string>());
    settings.replicas = j.at("replicas").get<int>();
    settings.replica_rebuild =
        value_in(kReplicaRebuilds, j.value("replica_rebuild", std::string("auto")));
    settings.listen_addresses = j.at("listen_addresses").get<std::string>();
    settings.allowed_networks = j.at("allowed_networks").get<std::vector<std::string>>();
    settings.node_tls = j.value("node_tls", false);
    settings.restore_from_backup = j.at("restore_from_backup").get<bool>();
    settings.repository = repository_from_json(j.at("repository"));
    settings.backup_set = optional_from_json<std::string>(j.at("backup_set"));
    const auto& target = j.at("target");
    settings.target.type = value_in(kRecoveryTypes, target.at("type").get<std::string>());
    settings.target.target = target.at("target").get<std::string>();
    settings.target.exclusive = target.at("exclusive").get<bool>();
    settings.target.timeline = target.at("timeline").get<std::string>();
    settings.target.action = target.at("action").get<std::string>();
    settings.target_given = j.value("target_given", false);
    settings.point = point_from_json(j.value("point", json()));
    settings.chosen_backup = optional_from_json<std::string>(j.value("chosen_backup", json()));
    settings.lines_beside = notices_from(j.value("lines_beside", json::array()));
    settings.missing_locales = notices_from(j.value("missing_locales", json::array()));
    settings.databases.include = j.value("db_include", std::vector<std::string>());
    settings.databases.exclude = j.value("db_exclude", std::vector<std::string>());
    settings.drop_left_out = j.value("drop_left_out", false);
    if (j.contains("tablespaces"))
      settings.tablespaces = tablespaces_from_json(j.at("tablespaces"));
    settings.process_max = j.at("process_max").get<unsigned>();
    settings.wal_archive = value_in(kWalArchiveModes, j.at("wal_archive").get<std::string>());
    if (j.contains("own_archive"))
      settings.own_archive = own_archive_from_json(j.at("own_archive"));
    else  // as it was before an archive could have a bucket of its own
      settings.own_archive.path = optional_from_json<std::string>(j.at("wal_archive_path"));
    settings.takeover_silence_seconds = j.value("takeover_silence_seconds", 900);
    settings.first_backup = j.value("first_backup", false);
    settings.retention_full = j.at("retention_full").get<int>();
    settings.retention_diff = j.at("retention_diff").get<int>();
    settings.shared_buffers = j.at("shared_buffers").get<std::string>();
    settings.effective_cache_size = j.at("effective_cache_size").get<std::string>();
    settings.maintenance_work_mem = j.at("maintenance_work_mem").get<std::string>();
    settings.work_mem = j.at("work_mem").get<std::string>();
    settings.max_wal_senders = optional_from_json<int>(j.at("max_wal_senders"));
    settings.max_replication_slots = optional_from_json<int>(j.at("max_replication_slots"));
    settings.postgres_binaries = j.at("postgres_binaries").get<std::string>();
    settings.containers = j.value("containers", false);
    return settings;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, "settings.json cannot be read: " + printable(error.what()))
        .with_hint("run start again; it writes the file anew");
  }
}

}  // namespace pgrevive::cluster
