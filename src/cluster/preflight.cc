#include "cluster/preflight.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/archive_probe.h"
#include "cluster/archiving.h"
#include "cluster/backrest_conf.h"
#include "cluster/backrest_version.h"
#include "cluster/bring_up.h"
#include "cluster/changed_target.h"
#include "cluster/configuration.h"
#include "cluster/console_process.h"
#include "cluster/given_back.h"
#include "cluster/host.h"
#include "cluster/identity_scope.h"
#include "cluster/leftovers.h"
#include "cluster/locales.h"
#include "cluster/lost_primary.h"
#include "cluster/made_places.h"
#include "cluster/needed_locales.h"
#include "cluster/node_record.h"
#include "cluster/node_size.h"
#include "cluster/preview.h"
#include "cluster/space.h"
#include "cluster/supervisor_process.h"
#include "cluster/switchover.h"
#include "cluster/takeover.h"
#include "cluster/target_time.h"
#include "postgres/server.h"
#include "repository/open.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kAdminerPort = "ADMINER_PORT";
constexpr const char* kConsolePort = "CONSOLE_PORT";

// Empty if nobody listens there, so that something of ours can; else the system's reason. A bound
// address that is not listened on is in nobody's way: two starts may look at the same moment.
std::string cannot_listen(const std::string& address, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const char* host = address == "*" ? nullptr : address.c_str();
  if (::getaddrinfo(host, std::to_string(port).c_str(), &hints, &found) != 0)
    return "the address cannot be resolved";
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  bool any = false;
  std::string reason;
  for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
    const Fd fd(::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) continue;  // IPv6 may be off
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (entry->ai_family == AF_INET6)
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd.get(), entry->ai_addr, entry->ai_addrlen) == 0) {
      any = true;
      continue;
    }
    if (errno == EADDRINUSE) return std::generic_category().message(EADDRINUSE);
    reason = std::generic_category().message(errno);
  }
  return any ? std::string() : reason;
}

// A console that lives on after its supervisor has to tell of a start that fails as well, so it is
// left alone: the supervisor replaces it. Its port is the one it was told.
bool console_has(const WantedPort& wanted, const StateDirectory& directory) {
  if (!find_side_process(console_program(directory))) return false;
  const auto told = read_file_if_exists(directory.settings());
  return told && from_json(*told).console_port == wanted.port;
}

void check_ports(const Settings& settings, const StateDirectory& directory) {
  for (const auto& wanted : wanted_ports(settings)) {
    // A server that an ended supervisor left running is adopted.
    if (wanted.setting == kAdminerPort)
      stop_orphaned_adminer(directory);
    else if (wanted.setting == kConsolePort ? console_has(wanted, directory)
                                            : server_is_ours(directory, wanted.user))
      continue;
    check_port(wanted);
  }
}

// Those that the cluster's own processes listen on, as it was told when they were started.
std::set<int> ports_of_ours(const StateDirectory& directory) {
  std::set<int> ports;
  const auto text = read_file_if_exists(directory.settings());
  if (!text) return ports;
  const auto told = from_json(*text);
  for (const auto& node : node_names(told.replicas))
    if (server_is_ours(directory, node)) ports.insert(port_of(told, node));
  if (find_adminer(directory)) ports.insert(told.adminer_port);
  if (find_side_process(console_program(directory))) ports.insert(told.console_port);
  return ports;
}

void check_ports_anew(const Settings& settings, const StateDirectory& directory) {
  const auto ours = ports_of_ours(directory);
  for (const auto& wanted : wanted_ports(settings))
    if (!ours.contains(wanted.port)) check_port(wanted);
}

}  // namespace

Identity find_owner() {
  const auto current = Identity::current();
  if (current.uid != 0) return current;
  if (auto postgres = Identity::find("postgres")) {
    if (postgres->uid == 0)
      throw Error(ErrorKind::usage, "PostgreSQL refuses to run as root")
          .with_hint("the servers run as user postgres; install PostgreSQL, which makes that user");
    return *std::move(postgres);
  }
  throw Error(ErrorKind::not_found, "there is no user postgres for the servers to run as")
      .with_hint("install PostgreSQL (apt-get install postgresql), which makes that user");
}

namespace {

bool is_made(const StateDirectory& directory) {
  std::error_code ignored;
  return std::filesystem::exists(directory.root(), ignored) &&
         !std::filesystem::is_empty(directory.root(), ignored);
}

}  // namespace

std::optional<Marker> check_directory(const Settings& settings, const StateDirectory& directory,
                                      const Identity& owner) {
  auto marker = Marker::load(directory);
  // Another start may be about to write it.
  for (int i = 0; i < 10 && !marker && is_made(directory); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    marker = Marker::load(directory);
  }
  if (!marker) {
    if (holds_files(directory))
      throw Error(ErrorKind::target_not_empty,
                  directory.root().string() + " holds files that pgrevive did not make")
          .with_hint("use another CLUSTER_NAME or PGREVIVE_HOME");
    return {};
  }
  if (marker->owner != owner.uid)
    throw Error(ErrorKind::denied, "the cluster in " + directory.root().string() +
                                       " was started by another user; its servers run as " +
                                       marker->owner_name)
        .with_hint("call pgrevive as " + marker->owner_name);
  if (marker->cluster_name != settings.cluster_name)
    throw Error(ErrorKind::usage, directory.root().string() + " is the cluster " +
                                      marker->cluster_name + ", not " + settings.cluster_name);
  return marker;
}

void check_target(const Settings& settings) {
  using restore::RecoveryType;
  const auto type = settings.target.type;
  if (type == RecoveryType::standby || type == RecoveryType::none || type == RecoveryType::preserve)
    throw Error(ErrorKind::usage, "this recovery target type cannot make a cluster")
        .with_hint("use default, immediate, time, name, lsn or xid; `restore` takes the others");
  if (type == RecoveryType::time) parse_target_time(settings.target.target);
}

void check_own_archive(const Settings& settings, const StateDirectory& directory) {
  if (settings.wal_archive == WalArchiveMode::source && !settings.restore_from_backup)
    throw Error(ErrorKind::usage,
                "WAL_ARCHIVE=source takes over the stanza of the backup, and there is none "
                "(RESTORE_FROM_BACKUP=false)")
        .with_hint("use WAL_ARCHIVE=own or WAL_ARCHIVE=off");
  if (settings.archives()) {
    if (!find_program("pgbackrest"))
      throw Error(ErrorKind::not_found,
                  fmt::format("pgbackrest is not installed, and WAL_ARCHIVE={} needs it",
                              name_of(settings.wal_archive)))
          .with_hint("install it (apt-get install pgbackrest), or set WAL_ARCHIVE=off");
    if (const auto obstacle = own_archive_obstacle(settings, directory); !obstacle.empty())
      throw Error(ErrorKind::usage, obstacle)
          .with_hint("set WAL_ARCHIVE_PATH to another place, or WAL_ARCHIVE=off");
  }
}

std::vector<WantedPort> wanted_ports(const Settings& settings) {
  std::vector<WantedPort> ports;
  for (const auto& node : node_names(settings.replicas))
    ports.push_back(
        {.user = node,
         .setting = node == "primary" ? "POSTGRES_PRIMARY_PORT" : "POSTGRES_REPLICA_PORT",
         .addresses = settings.listen_addresses,
         .port = port_of(settings, node)});
  // In containers they are containers of their own, whose ports Docker publishes.
  if (settings.adminer_port != 0 && !settings.containers)
    ports.push_back({.user = "Adminer",
                     .setting = kAdminerPort,
                     .addresses = settings.adminer_listen,
                     .port = settings.adminer_port});
  if (settings.console_port != 0 && !settings.containers)
    ports.push_back({.user = "the console",
                     .setting = kConsolePort,
                     .addresses = settings.console_listen,
                     .port = settings.console_port});
  const auto named = [](const WantedPort& wanted) {
    return wanted.user.starts_with("replica-") ? wanted.setting + " of " + wanted.user
                                               : wanted.setting;
  };
  std::map<int, const WantedPort*> used;
  for (const auto& wanted : ports)
    if (const auto [at, is_new] = used.emplace(wanted.port, &wanted); !is_new)
      throw Error(ErrorKind::usage, fmt::format("{} and {} are both {}", named(*at->second),
                                                named(wanted), wanted.port))
          .with_hint("give each a port of its own");
  return ports;
}

void check_port(const WantedPort& wanted) {
  for (const auto& part : split(wanted.addresses, ',')) {
    const auto address = std::string(trim(part));
    if (address.empty()) continue;
    if (const auto reason = cannot_listen(address, wanted.port); !reason.empty())
      throw Error(ErrorKind::busy, fmt::format("port {} ({}) cannot be used on {}: {}", wanted.port,
                                               wanted.setting, address, reason))
          .with_hint("set " + wanted.setting + " to a free port, or stop what uses it");
  }
}

namespace {

std::vector<Demand> demands_of(const Settings& settings, const StateDirectory& directory,
                               const std::vector<std::string>& nodes, const ChosenBackup& chosen) {
  const auto size = size_of_nodes(settings, directory, nodes, chosen);
  std::vector<Demand> demands;
  for (const auto& node : nodes)
    for (auto& demand : size.demands(settings, directory, node))
      demands.push_back(std::move(demand));
  return demands;
}

std::vector<SpaceNeed> as_needs(const StateDirectory& directory,
                                const std::vector<FileSystemDemand>& demands) {
  const auto root = disk_space(directory.root());
  std::vector<SpaceNeed> result;
  for (const auto& demand : demands)
    result.push_back(
        {.directory = demand.space.device == root.device ? directory.root() : demand.place,
         .nodes = demand.places,
         .bytes = demand.bytes,
         .free_bytes = demand.space.free_bytes,
         .elsewhere = demand.space.device != root.device});
  return result;
}

// Where all nodes are made again, in the space that the present ones leave.
std::vector<SpaceNeed> space_needs_anew(const Settings& settings, const StateDirectory& directory,
                                        const ChosenBackup& chosen) {
  const auto demands = demands_of(settings, directory, node_names(settings.replicas), chosen);
  std::map<dev_t, std::vector<std::filesystem::path>> going;
  for (const auto& node : existing_nodes(directory)) {
    going[disk_space(directory.data(node)).device].push_back(directory.node(node));
    for (const auto& place : made_places(NodeParts::of(directory, node)))
      going[disk_space(place).device].push_back(place);
  }
  for (const auto& place : set_aside(directory)) going[disk_space(place).device].push_back(place);
  std::map<dev_t, std::uint64_t> given_back;
  for (const auto& [device, places] : going) given_back[device] = bytes_given_back(places);
  const auto look = [&](const std::filesystem::path& place) {
    auto space = disk_space(place);
    space.free_bytes += given_back[space.device];
    return space;
  };
  return as_needs(directory, by_file_system(demands, look));
}

}  // namespace

std::vector<SpaceNeed> space_needs(const Settings& settings, const StateDirectory& directory,
                                   const ChosenBackup& chosen) {
  std::vector<std::string> nodes;
  for (const auto& node : node_names(settings.replicas)) {
    const auto state = restore::inspect_directory(directory.data(node));
    if (state == restore::DirectoryState::absent || state == restore::DirectoryState::empty)
      nodes.push_back(node);
  }
  return as_needs(directory, by_file_system(demands_of(settings, directory, nodes, chosen)));
}

namespace {

// What is in the places of nodes that are to be made, and is of none of this cluster's.
void check_places(const Settings& settings, const StateDirectory& directory, NodesToMake which,
                  const std::vector<repository::ManifestTarget>& targets) {
  std::vector<std::filesystem::path> ours;
  for (const auto& node : existing_nodes(directory))
    for (auto& place : mapped_places(NodeParts::of(directory, node)))
      ours.push_back(std::move(place));
  for (const auto& node : node_names(settings.replicas)) {
    std::vector<std::filesystem::path> taken;
    if (which == NodesToMake::missing) {
      if (restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete)
        continue;
      taken = mapped_places_beside(directory, node);
    }
    std::vector<std::filesystem::path> places;
    for (auto& [tablespace, place] :
         mapped_tablespaces(settings.tablespaces, settings.cluster_name, node, targets, taken))
      places.push_back(place);
    refuse_others_places(node, places, ours);
  }
}

}  // namespace

void check_tablespace_map(const Settings& settings, const StateDirectory& directory,
                          const ChosenBackup& chosen, NodesToMake which) {
  if (settings.tablespaces.empty()) return;
  const bool posix = settings.repository.type == repository::RepositoryOptions::Type::posix;
  check_directories(settings.tablespaces, directory.root(),
                    posix ? settings.repository.path : std::filesystem::path());
  const auto repository = repository::open_repository(settings.repository);
  const auto manifest = repository.load_manifest(chosen.info, chosen.backup.label);
  check_tablespaces(settings.tablespaces, manifest.targets);
  check_places(settings, directory, which, manifest.targets);
}

void check_space(const SpaceNeed& need) {
  if (need.bytes > need.free_bytes)
    throw Error(ErrorKind::system,
                fmt::format("{} has {} free, and {} of {} {} do not fit", need.directory.string(),
                            format_bytes(need.free_bytes), format_bytes(need.bytes), need.nodes,
                            need.nodes == 1 ? "node" : "nodes"))
        .with_hint(need.elsewhere ? "make room there, or let something larger be there; "
                                    "TABLESPACE_MAP says where tablespaces go"
                                  : "set PGREVIVE_HOME to a directory on a larger file system");
}

// A cluster that has archived before shows that it can.
void check_archiver(const Settings& settings, const StateDirectory& directory,
                    postgres::Version version) {
  if (!settings.archives()) return;
  const auto record = load_primary_record(directory);
  if (!record || !record->archives_as(settings.wal_archive))
    check_backrest_knows(version, settings.wal_archive);
}

namespace {

// Replicas of a new cluster are copies of its primary. Packages of a server bring the program
// along; other collections of its programs may not.
void check_copier(const Settings& settings, const StateDirectory& directory,
                  const std::filesystem::path& binaries, postgres::Version version) {
  if (settings.restore_from_backup || std::filesystem::exists(binaries / "pg_basebackup")) return;
  for (const auto& node : node_names(settings.replicas)) {
    if (node == "primary" ||
        restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete)
      continue;
    throw Error(ErrorKind::not_found,
                fmt::format("{} has no pg_basebackup, which copies the new primary to {}",
                            binaries.string(), node))
        .with_hint(fmt::format(
            "install it: apt-get install postgresql-client-{}; or set REPLICAS=0", version.text()));
  }
}

}  // namespace

void check_memory(const Settings& settings, Mapping mapping) {
  const auto host = look_at_host();
  const auto buffers = shared_buffers_of(settings, host);
  if (!buffers) return;  // the server has more words for it
  const int servers = settings.replicas + 1;
  std::string obstacle;
  if (*buffers > host.memory_bytes)
    obstacle = fmt::format("this host has {} of memory", format_bytes(host.memory_bytes));
  else if (mapping == Mapping::tried && !gives_shared_memory(*buffers, servers))
    obstacle = "the system does not give that much";
  if (!obstacle.empty())
    throw Error(ErrorKind::system, fmt::format("{} x {} of shared_buffers cannot be had: {}",
                                               servers, format_bytes(*buffers), obstacle))
        .with_hint("set SHARED_BUFFERS to less");
}

bool has_primary(const StateDirectory& directory) {
  return restore::inspect_directory(directory.data("primary")) == restore::DirectoryState::complete;
}

bool needs_restore(const Settings& settings, const StateDirectory& directory) {
  return settings.restore_from_backup && !has_primary(directory);
}

namespace {

std::vector<Notice> notices_of(const Outlook& outlook) {
  std::vector<Notice> notices;
  for (const auto& beside : outlook.beside)
    notices.push_back(beside_notice(beside, outlook.timeline));
  return notices;
}

// What reading its catalog beforehand costs is a manifest and two small files.
void check_locales(Settings& settings, const ChosenBackup& chosen) {
  Databases databases;
  try {
    databases = databases_to_come(settings, chosen);
  } catch (const Error&) {
    return;  // the restore will need the same files, and says what is wrong with them
  }
  refuse_without_locales(databases, settings.database, host_has_locale);
  for (const auto& missing : missing_locales(databases, host_has_locale))
    settings.missing_locales.push_back(missing_notice(missing));
}

// Of a cluster that is there already. Before the probe, which writes into the stanza.
void check_takeover(const Settings& settings, const StateDirectory& directory) {
  if (settings.wal_archive != WalArchiveMode::source || needs_restore(settings, directory)) return;
  const auto record = load_primary_record(directory);
  if (!record || record->archives_as(WalArchiveMode::source)) return;
  if (!record->source_newest)
    throw Error(ErrorKind::usage,
                "WAL_ARCHIVE=source is chosen when a cluster is restored, and this one was not "
                "restored for it")
        .with_hint(
            "set WAL_ARCHIVE back to what it was, or make a new cluster with "
            "WAL_ARCHIVE=source");
  if (record->promoted) refuse_source_that_went_on(settings, directory, *record);
}

}  // namespace

void check_what_was_made(const Settings& settings, const StateDirectory& directory) {
  const auto marker = Marker::load(directory);
  const auto record = load_primary_record(directory);
  if (!marker || !record) return;
  if (!settings.restore_from_backup && !record->backup_label.empty())
    throw Error(ErrorKind::usage,
                "RESTORE_FROM_BACKUP=false is for a new, empty cluster, and this "
                "one was restored from backup " +
                    record->backup_label)
        .with_hint(
            "set RESTORE_FROM_BACKUP=true: what was restored is not restored again; or give a new "
            "cluster another CLUSTER_NAME");
  if (record->set_up) check_own_archive_is_ours(settings, directory, *marker, *record);
}

void preflight(Settings& settings, const StateDirectory& directory, const Marker& marker,
               const Identity& owner, const PointWatch& watch) {
  refuse_half_removed(directory);
  refuse_lost_primary(directory);
  check_target(settings);
  check_own_archive(settings, directory);
  check_what_was_made(settings, directory);
  refuse_foreign_servers(directory);
  check_ports(settings, directory);
  const auto version = cluster_version(settings, directory);
  const auto binaries = cluster_binaries(settings, version);
  check_archiver(settings, directory, version);
  check_copier(settings, directory, binaries, version);
  settings.missing_locales.clear();
  if (!has_primary(directory)) check_memory(settings, Mapping::tried);
  if (needs_restore(settings, directory)) {
    if (const auto problem = find_point(settings, directory, watch)) throw *problem;
    const auto chosen = backup_for(settings, directory);
    {
      const IdentityScope scope(owner);
      check_tablespace_map(settings, directory, chosen, NodesToMake::missing);
    }
    for (const auto& need : space_needs(settings, directory, chosen)) check_space(need);
    check_locales(settings, chosen);
    const auto outlook = look_ahead(settings, chosen, false, watch);
    if (outlook.problem) throw *outlook.problem;
    settings.lines_beside = notices_of(outlook);
    if (settings.wal_archive == WalArchiveMode::source) refuse_living_source(settings, chosen);
  }
  check_changed_target(settings, directory, version);
  check_takeover(settings, directory);
  probe_own_archive(settings, directory, marker, owner);
}

ChosenBackup preflight_anew(Settings& settings, const StateDirectory& directory,
                            const Marker& marker, const Identity& owner, const PointWatch& watch,
                            Search search) {
  settings.chosen_backup.reset();
  settings.missing_locales.clear();
  // As beside the cluster, where nothing is yet.
  const StateDirectory elsewhere(directory.root() / "preview");
  check_target(settings);
  check_own_archive(settings, directory);
  refuse_foreign_servers(directory);
  check_ports_anew(settings, directory);
  const auto version = cluster_version(settings, elsewhere);
  cluster_binaries(settings, version);
  check_archiver(settings, elsewhere, version);
  check_memory(settings, Mapping::not_tried);
  if (search == Search::needed)
    if (const auto problem = find_point(settings, elsewhere, watch)) throw *problem;
  auto chosen = choose_backup(settings);
  {
    const IdentityScope scope(owner);
    check_tablespace_map(settings, directory, chosen, NodesToMake::all);
  }
  for (const auto& need : space_needs_anew(settings, directory, chosen)) check_space(need);
  check_locales(settings, chosen);
  const auto outlook = look_ahead(settings, chosen, true, watch);
  if (outlook.problem) throw *outlook.problem;
  settings.lines_beside = notices_of(outlook);
  probe_own_archive(settings, elsewhere, marker, owner);
  if (!settings.point) settings.chosen_backup = chosen.backup.label.text();
  return chosen;
}

void preflight_cleared(const Settings& settings, const StateDirectory& directory,
                       const ChosenBackup& chosen) {
  refuse_foreign_servers(directory);
  check_ports(settings, directory);
  for (const auto& need : space_needs(settings, directory, chosen)) check_space(need);
}

}  // namespace pgrevive::cluster
