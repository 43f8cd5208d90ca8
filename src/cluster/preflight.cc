#include "cluster/preflight.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/archive_probe.h"
#include "cluster/backrest_conf.h"
#include "cluster/bring_up.h"
#include "cluster/preview.h"
#include "cluster/supervisor_process.h"
#include "cluster/takeover.h"
#include "cluster/target_time.h"
#include "postgres/binaries.h"
#include "postgres/server.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

void check_settings(const Settings& settings, const StateDirectory& directory) {
  using restore::RecoveryType;
  const auto type = settings.target.type;
  if (type == RecoveryType::standby || type == RecoveryType::none || type == RecoveryType::preserve)
    throw Error(ErrorKind::usage, "this recovery target type cannot make a cluster")
        .with_hint("use default, immediate, time, name, lsn or xid; `restore` takes the others");
  if (type == RecoveryType::time) parse_target_time(settings.target.target);
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

void check_port(const std::string& setting, const std::string& addresses, int port) {
  for (const auto& part : split(addresses, ',')) {
    const auto address = std::string(trim(part));
    if (address.empty()) continue;
    if (const auto reason = cannot_listen(address, port); !reason.empty())
      throw Error(ErrorKind::busy, fmt::format("port {} ({}) cannot be used on {}: {}", port,
                                               setting, address, reason))
          .with_hint("set " + setting + " to a free port, or stop what uses it");
  }
}

void check_ports(const Settings& settings, const StateDirectory& directory) {
  std::map<int, std::string> used;
  const auto claim = [&](int port, const std::string& setting) {
    const auto [at, is_new] = used.emplace(port, setting);
    if (!is_new)
      throw Error(ErrorKind::usage,
                  fmt::format("{} and {} are both {}", at->second, setting, port));
  };
  for (const auto& node : node_names(settings.replicas)) {
    const int port = port_of(settings, node);
    const std::string setting =
        node == "primary" ? "POSTGRES_PRIMARY_PORT" : "POSTGRES_REPLICA_PORT";
    claim(port, node == "replica" || node == "primary" ? setting : setting + " of " + node);
    // A server that an ended supervisor left running is adopted.
    if (server_is_ours(directory, node)) continue;
    check_port(setting, settings.listen_addresses, port);
  }
  if (settings.adminer_port == 0) return;
  claim(settings.adminer_port, "ADMINER_PORT");
  stop_orphaned_adminer(directory);
  check_port("ADMINER_PORT", settings.adminer_listen, settings.adminer_port);
}

void check_space(const Settings& settings, const StateDirectory& directory,
                 const repository::Backup& backup) {
  std::uint64_t nodes = 0;
  for (const auto& node : node_names(settings.replicas)) {
    const auto state = restore::inspect_directory(directory.data(node));
    if (state == restore::DirectoryState::absent || state == restore::DirectoryState::empty)
      ++nodes;
  }
  const auto space = disk_space(directory.root());
  if (nodes * backup.size > space.free_bytes)
    throw Error(ErrorKind::system,
                fmt::format("{} has {} free, and {} {} of {} do not fit", directory.root().string(),
                            format_bytes(space.free_bytes), nodes, nodes == 1 ? "node" : "nodes",
                            format_bytes(backup.size)))
        .with_hint("set PGREVIVE_HOME to a directory on a larger file system");
}

bool needs_restore(const Settings& settings, const StateDirectory& directory) {
  return settings.restore_from_backup &&
         restore::inspect_directory(directory.data("primary")) != restore::DirectoryState::complete;
}

}  // namespace

void preflight(const Settings& settings, const StateDirectory& directory, const Marker& marker,
               const Identity& owner) {
  if (owner.uid == 0)
    throw Error(ErrorKind::usage, "PostgreSQL refuses to run as root")
        .with_hint("the servers run as user postgres; install PostgreSQL, which makes that user");
  check_settings(settings, directory);
  refuse_foreign_servers(directory);
  check_ports(settings, directory);
  postgres::find_binaries(cluster_version(settings, directory), settings.postgres_binaries);
  if (needs_restore(settings, directory)) {
    const auto chosen = backup_for(settings, directory);
    check_space(settings, directory, chosen.backup);
    const auto outlook = look_ahead(settings, chosen, false);
    if (outlook.problem) throw *outlook.problem;
    if (settings.wal_archive == WalArchiveMode::source) refuse_living_source(settings, chosen);
  }
  probe_own_archive(settings, directory, marker, owner);
}

}  // namespace pgrevive::cluster
