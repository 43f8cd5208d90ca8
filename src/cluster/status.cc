#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/access.h"
#include "cluster/adminer.h"
#include "cluster/backrest_conf.h"
#include "cluster/cluster.h"
#include "cluster/console_process.h"
#include "cluster/container_status.h"
#include "cluster/dialect.h"
#include "cluster/leftovers.h"
#include "cluster/made_places.h"
#include "cluster/marker.h"
#include "cluster/node_record.h"
#include "cluster/partial.h"
#include "cluster/problems.h"
#include "cluster/progress_json.h"
#include "postgres/server.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;
using postgres::Connection;

// Bytes of the files below a directory, without following links. Files come and go meanwhile.
std::uint64_t tree_bytes(const std::filesystem::path& directory, const std::stop_token& stop) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  std::filesystem::recursive_directory_iterator entry(
      directory, std::filesystem::directory_options::skip_permission_denied, ignored);
  while (entry != std::filesystem::recursive_directory_iterator() && !stop.stop_requested()) {
    std::error_code gone;
    if (entry->is_regular_file(gone) && !entry->is_symlink(gone)) {
      const auto size = entry->file_size(gone);
      if (!gone) bytes += size;
    }
    entry.increment(ignored);
    if (ignored) break;
  }
  return bytes;
}

std::string state_of_files(const std::filesystem::path& data, bool unfinished) {
  switch (restore::inspect_directory(data)) {
    case restore::DirectoryState::absent:
    case restore::DirectoryState::empty:
      return "not restored";
    case restore::DirectoryState::interrupted:
      return "restoring";
    case restore::DirectoryState::complete:
    case restore::DirectoryState::foreign:
      break;
  }
  return unfinished ? "restoring" : "down";
}

void ask_server(NodeStatus& node, Connection& connection) {
  const int version = connection.server_version();
  const auto rows = connection.query(in_words_of(
      version,
      "select pg_is_in_recovery(), current_setting('server_version'), "
      "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() "
      "end::text, (select timeline_id from pg_control_checkpoint()), "
      "(extract(epoch from pg_postmaster_start_time()) * 1000)::bigint, "
      "(select count(*) from pg_stat_activity where client_port is not null "
      // Not those of whoever looks: the supervisor, the console, others that ask as we do now.
      "and datid is not null and application_name is distinct from 'pgrevive'), "
      "current_setting('max_connections')"));
  const auto& row = rows.at(0);
  const bool recovering = row.at(0) == "t";
  node.role = !recovering ? "primary" : node.name == "primary" ? "recovering" : "replica";
  node.version = row.at(1).value_or("");
  node.lsn = row.at(2).value_or("");
  // pg_control knows a new timeline only after the next checkpoint.
  const auto number = [&](std::size_t i) { return parse_unsigned(row.at(i).value_or("")); };
  node.timeline = static_cast<std::uint32_t>(number(3).value_or(0));
  node.started_ms = static_cast<std::int64_t>(number(4).value_or(0));
  if (const auto count = number(5)) node.connections = static_cast<int>(*count);
  if (const auto most = number(6)) node.max_connections = static_cast<int>(*most);
  if (!recovering) {
    const auto name =
        connection.value(in_words_of(version, "select pg_walfile_name(pg_current_wal_lsn())"));
    if (name && name->size() >= 8)
      node.timeline = postgres::Timeline::parse_hex(name->substr(0, 8)).value();
    return;
  }
  if (version >= 100000) {
    // No row where it receives nothing.
    const auto received = connection.value("select max(received_tli) from pg_stat_wal_receiver");
    if (const auto timeline = parse_unsigned(received.value_or("")); timeline && *timeline != 0)
      node.timeline = static_cast<std::uint32_t>(*timeline);
  }
}

// What the primary knows about its replicas.
void ask_about_replicas(std::vector<NodeStatus>& nodes, Connection& primary) {
  const auto rows = primary.query(in_words_of(
      primary.server_version(),
      primary.server_version() >= 100000
          ? "select application_name, state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)"
            "::bigint, extract(epoch from coalesce(replay_lag, case when replay_lsn >= "
            "pg_current_wal_lsn() then interval '0' end)) from pg_stat_replication"
          : "select application_name, state, pg_xlog_location_diff(pg_current_wal_lsn(), "
            "replay_lsn)::bigint, null from pg_stat_replication"));
  for (auto& node : nodes) {
    if (node.name == "primary") continue;
    node.replication = "disconnected";
    for (const auto& row : rows) {
      if (row.at(0) != node.name) continue;
      node.replication = row.at(1).value_or("");
      node.lag_bytes = parse_unsigned(row.at(2).value_or(""));
      if (row.at(3)) node.lag_seconds = std::stod(*row.at(3));
    }
  }
}

// How this process reaches a node's server: over the cluster's sockets, or where nodes are
// containers, from another one.
struct Way {
  Access access;
  int port = 0;
};

// Of no version where there is nothing yet.
postgres::Version version_of(const std::filesystem::path& data) {
  const auto text = read_file_if_exists(data / "PG_VERSION");
  return text ? postgres::Version::parse(trim(*text)) : postgres::Version();
}

// One that does not answer is told, and asked again at the next look.
constexpr std::chrono::seconds kPatience{5};

Way way_to(const std::string& node, const Settings& settings, const Marker& marker,
           const std::vector<std::string>& roles, postgres::Version version) {
  if (settings.containers)
    return {Access(host_of(settings, node), roles, version).within(kPatience), kContainerPort};
  return {Access(marker.socket_directory, roles, version).within(kPatience),
          port_of(settings, node)};
}

NodeStatus node_status(const StateDirectory& directory, const Settings& settings, const Way& way,
                       const std::string& name, Look look) {
  NodeStatus node;
  node.name = name;
  node.port = port_of(settings, name);
  const auto data = directory.data(name);
  node.data_directory = data.string();
  const auto record = NodeRecord::load(directory, name).value_or(NodeRecord{});
  node.backup_label = record.backup_label;
  node.made_because = record.made_because;
  if (look == Look::whole) node.data_bytes = data_bytes(directory, name);
  const auto space = disk_space(data);
  node.disk_free_bytes = space.free_bytes;
  node.disk_total_bytes = space.total_bytes;
  const auto readiness = way.access.ping(way.port);
  // Of a process in another container only its server can tell.
  const bool running = settings.containers ? readiness != postgres::Readiness::no_response
                                           : postgres::is_running(data);
  if (!running) {
    node.state = state_of_files(data, record.unfinished);
    return node;
  }
  if (const auto pid = postgres::read_postmaster_pid(data)) node.pid = pid->pid;
  if (readiness != postgres::Readiness::accepting) {
    node.state = "starting";
    return node;
  }
  try {
    auto connection = way.access.open(way.port);
    ask_server(node, connection);
    node.state = "accepting";
  } catch (const Error& error) {
    node.state = "starting";
    node.error = error.what();
  }
  return node;
}

void ask_archiver(ClusterStatus& status, const Settings& settings, Connection& primary) {
  if (!settings.archives()) {
    status.archiving = "off";
    return;
  }
  const auto rows = primary.query(
      "select archived_count, coalesce(last_archived_wal, ''), "
      "coalesce(round(extract(epoch from now() - last_archived_time))::text, ''), failed_count, "
      "coalesce(last_failed_time > last_archived_time or (last_archived_time is null and "
      "last_failed_time is not null), false), current_setting('archive_command') "
      "from pg_stat_archiver");
  const auto& row = rows.at(0);
  const auto text = [&](std::size_t i) { return row.at(i).value_or(""); };
  status.archiving = name_of(settings.wal_archive) + ": " + text(0) + " archived";
  if (!text(1).empty()) status.archiving += fmt::format(", last {} {} s ago", text(1), text(2));
  status.archiving += ", " + text(3) + " failed";
  // Failures of long ago that were made good are no trouble of today.
  status.archiving_ok = text(4) != "t" && !text(5).empty();
  if (text(5).empty()) status.archiving += ", not set up";
  const auto count = [&](std::size_t i) {
    return static_cast<std::int64_t>(parse_unsigned(text(i)).value_or(0));
  };
  status.archiver = {.archived = count(0), .failed = count(3)};
  if (const auto age = parse_unsigned(text(2)))
    status.archiver->last_archived_seconds_ago = static_cast<double>(*age);
}

// A supervisor that was killed has left its phase open. It was in it at least until it last said
// anything.
void end_phases(SupervisorStatus& status, const std::filesystem::path& said) {
  if (status.phase == Phase::stopped || status.phase == Phase::failed) return;
  struct stat info {};
  if (::stat(said.c_str(), &info) != 0) return;
  const auto ms = static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000 +
                  static_cast<std::int64_t>(info.st_mtim.tv_nsec) / 1'000'000;
  for (auto& phase : status.phases)
    if (phase.ended_ms == 0) phase.ended_ms = std::max(phase.began_ms, ms);
}

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

}  // namespace

std::uint64_t data_bytes(const StateDirectory& directory, const std::string& node,
                         const std::stop_token& stop) {
  auto bytes =
      tree_bytes(directory.data(node), stop) + tree_bytes(directory.tablespaces(node), stop);
  for (const auto& place : made_places(NodeParts::of(directory, node)))
    bytes += tree_bytes(place, stop);
  return bytes;
}

std::string place_of_collations(const StateDirectory& directory, const Settings& settings) {
  const auto path = directory.collations().string();
  return settings.containers ? containers::cat_in_container(settings, "primary", path) : path;
}

ClusterStatus collect_status(const StateDirectory& directory, Look look) {
  const auto marker = load_marker(directory);
  // A cleanup removes them long before the last of the data.
  if (!std::filesystem::exists(directory.settings())) refuse_half_removed(directory);
  const auto settings = from_json(read_file(directory.settings()));
  ClusterStatus status;
  status.cluster_name = marker.cluster_name;
  status.state_directory = directory.root().string();
  status.containers = settings.containers;
  status.supervisor_running = supervisor_running(directory);
  status.supervisor =
      (settings.containers ? containers::read_as_one(directory, settings) : read_status(directory))
          .value_or(SupervisorStatus{});
  if (!status.supervisor_running) end_phases(status.supervisor, directory.status());
  const auto primary = NodeRecord::load(directory, "primary").value_or(NodeRecord{});
  const auto roles = candidate_roles(settings, primary.source_user, directory.data("primary"));
  const auto version = version_of(directory.data("primary"));
  for (const auto& name : node_names(settings.replicas))
    status.nodes.push_back(node_status(directory, settings,
                                       way_to(name, settings, marker, roles, version), name, look));

  // A supervisor that was started again after a restore knows of it by the record.
  if (status.supervisor.backup_label.empty()) status.supervisor.backup_label = primary.backup_label;
  if (!status.supervisor.recovery_end) status.supervisor.recovery_end = primary.recovery_end;

  if (settings.archives())
    status.archive = own_archive(settings, directory, marker.archive_suffix).describe();
  if (settings.wal_archive == WalArchiveMode::own) status.archive_backup = primary.own_backup;
  status.left_out = primary.left_out;
  // Without a primary there is nothing to archive, and its node says what is wrong.
  status.archiving = settings.archives() ? name_of(settings.wal_archive) +
                                               ": not known, the primary does not answer"
                                         : "off";
  if (status.nodes.front().role == "primary") {
    status.archiving_ok = !settings.archives();
    try {
      const auto way = way_to("primary", settings, marker, roles, version);
      auto connection = way.access.open(way.port);
      ask_about_replicas(status.nodes, connection);
      ask_archiver(status, settings, connection);
      status.left_out = still_there(connection, primary.left_out);
    } catch (const Error& error) {
      status.nodes.front().error = error.what();
    }
  }
  status.console_url = console_url(settings);
  status.adminer_url = adminer_url(settings);
  if (look != Look::quick)
    status.adminer_answers = adminer_answers(settings, std::chrono::seconds(2));
  status.collations = CollationFindings::load(directory.collations());
  status.collations_file = place_of_collations(directory, settings);
  status.restores = load_restores(directory);
  for (const auto& place : set_aside(directory)) status.half_removed.push_back(place.string());
  // The one that is under way is no past one yet.
  if (status.supervisor_running && !status.supervisor.phases.empty())
    std::erase_if(status.restores, [&](const PastRestore& restore) {
      return restore.outcome == "interrupted" &&
             restore.began_ms() == status.supervisor.phases.front().began_ms;
    });
  if (settings.containers) containers::tell_places_in_containers(status);
  return status;
}

std::string to_json(const ClusterStatus& status) {
  json nodes = json::array();
  for (const auto& node : status.nodes)
    nodes.push_back({{"name", node.name},
                     {"role", node.role},
                     {"port", node.port},
                     {"state", node.state},
                     {"pid", node.pid},
                     {"version", node.version},
                     {"timeline", node.timeline},
                     {"lsn", node.lsn},
                     {"replication", node.replication},
                     {"lag_bytes", or_null(node.lag_bytes)},
                     {"lag_seconds", or_null(node.lag_seconds)},
                     {"backup_label", node.backup_label},
                     {"made_because", node.made_because},
                     {"data_directory", node.data_directory},
                     {"data_bytes", node.data_bytes},
                     {"disk_free_bytes", node.disk_free_bytes},
                     {"disk_total_bytes", node.disk_total_bytes},
                     {"connections", or_null(node.connections)},
                     {"max_connections", or_null(node.max_connections)},
                     {"started_ms", node.started_ms},
                     {"error", node.error}});
  json problems = json::array();
  for (const auto& problem : find_problems(status))
    problems.push_back({{"id", problem.id},
                        {"subject", problem.subject},
                        {"grave", problem.grave},
                        {"text", problem.text},
                        {"remedy", problem.remedy},
                        {"values", problem.values}});
  json restores = json::array();
  for (const auto& restore : status.restores) restores.push_back(to_value(restore));
  json archiver = nullptr;
  if (status.archiver)
    archiver = {{"archived", status.archiver->archived},
                {"failed", status.archiver->failed},
                {"last_archived_seconds_ago", or_null(status.archiver->last_archived_seconds_ago)}};
  json left_out = json::array();
  for (const auto& database : status.left_out)
    left_out.push_back({{"oid", database.oid}, {"name", database.name}});
  const json j = {{"cluster_name", status.cluster_name},
                  {"state_directory", status.state_directory},
                  {"runtime", status.containers ? "docker" : "local"},
                  {"supervisor_running", status.supervisor_running},
                  {"supervisor", json::parse(to_json(status.supervisor))},
                  {"nodes", nodes},
                  {"left_out", left_out},
                  {"archiving", status.archiving},
                  {"archive", status.archive},
                  {"archive_backup", or_null(status.archive_backup)},
                  {"archiving_ok", status.archiving_ok},
                  {"archiver", archiver},
                  {"healthy", healthy(status)},
                  {"problems", problems},
                  {"restores", restores},
                  {"console_url", status.console_url},
                  {"adminer_url", status.adminer_url},
                  {"adminer_answers", status.adminer_answers},
                  {"collations", status.collations ? to_value(*status.collations) : json(nullptr)}};
  return j.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace pgrevive::cluster
