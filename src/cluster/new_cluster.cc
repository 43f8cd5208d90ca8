#include "cluster/new_cluster.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/configuration.h"
#include "cluster/given_back.h"
#include "cluster/made_places.h"
#include "cluster/node_files.h"
#include "cluster/node_record.h"
#include "cluster/node_tls.h"
#include "cluster/space.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

// Both programs may take hours; being asked to stop must not wait for them.
void run_to_end(Site& site, const Command& command, const std::filesystem::path& log) {
  auto child = ChildProcess::start(command);
  std::optional<ExitStatus> status;
  while (!(status = child.wait_for(std::chrono::milliseconds(100)))) {
    site.servers.tick();
    site.rest(std::chrono::milliseconds(100));
  }
  if (!status->ok())
    throw Error(ErrorKind::postgres, command.program.filename().string() + " failed (" +
                                         status->text() + "): " + last_lines(log))
        .with_hint("its output is in " + log.string());
}

NodeRecord begin(Site& site, const std::string& node) {
  const auto& directory = site.directory;
  const auto old = NodeRecord::load(directory, node);
  remove_leftovers(site, node, Leftovers::of_restores_too);
  remove_tree(directory.conf(node));
  forget_made_places(site, node);
  make_directories(directory.node(node));
  make_directories(directory.logs(node));
  make_directories(directory.data(node));
  NodeRecord record;
  record.unfinished = true;
  if (old) {
    // Until it is whole: a copy that is cut off goes on as one.
    record.no_backup = old->no_backup;
    record.copied_bytes = old->copied_bytes;
    record.copied_ms = old->copied_ms;
  }
  record.save(directory, node);
  return record;
}

struct Tablespace {
  std::string oid;
  std::string name;
  std::string location;  // of the primary's
  std::uint64_t bytes = 0;
};

// Those that have a place of their own; what is in the others is in the data directory.
std::vector<Tablespace> tablespaces_of(postgres::Connection& connection) {
  std::vector<Tablespace> found;
  for (const auto& row : connection.query(
           "select oid::text, spcname::text, pg_tablespace_location(oid), "
           "pg_tablespace_size(oid)::text from pg_tablespace where pg_tablespace_location(oid) <> "
           "''"))
    found.push_back({.oid = row.at(0).value_or(""),
                     .name = row.at(1).value_or(""),
                     .location = row.at(2).value_or(""),
                     .bytes = parse_unsigned(row.at(3).value_or("")).value_or(0)});
  return found;
}

// Where TABLESPACE_MAP wants it.
std::optional<std::filesystem::path> mapped_place(const Site& site, const std::string& node,
                                                  const Tablespace& tablespace) {
  const auto oid = static_cast<std::uint32_t>(parse_unsigned(tablespace.oid).value_or(0));
  return site.settings.tablespaces.place_of(site.settings.cluster_name, node, oid, tablespace.name,
                                            mapped_places_beside(site.directory, node));
}

// Where the copy's is.
std::filesystem::path place_of(const Site& site, const std::string& node,
                               const Tablespace& tablespace) {
  return mapped_place(site, node, tablespace)
      .value_or(site.directory.tablespaces(node) / tablespace.oid);
}

// Whether what the node has goes before it is made anew.
enum class Present { stays, goes };

// The server writes as zeros what is a hole on its disk: what was left out of a partial cluster
// takes its full size in a copy.
void check_room(const Site& site, const std::string& node, MadeOf made_of, std::uint64_t bytes,
                const std::vector<Tablespace>& tablespaces, Present present) {
  const auto data = site.directory.data(node);
  std::vector<Demand> demands = {{.place = data, .bytes = bytes}};
  for (const auto& tablespace : tablespaces) {
    demands.front().bytes -= std::min(demands.front().bytes, tablespace.bytes);
    demands.push_back({.place = place_of(site, node, tablespace), .bytes = tablespace.bytes});
  }
  if (present == Present::goes)
    for (auto& demand : demands)
      demand.bytes -= std::min(demand.bytes, bytes_given_back({demand.place}));
  const auto all = by_file_system(demands);
  for (const auto& demand : all) {
    if (demand.fits()) continue;
    throw Error(
        ErrorKind::system,
        fmt::format("{} has {} free, and {}{}, {}, does not fit", demand.place.string(),
                    format_bytes(demand.space.free_bytes), all.size() == 1 ? "" : "its part of ",
                    made_of == MadeOf::primary ? "a copy of the primary" : "the backup",
                    format_bytes(demand.bytes)))
        .with_hint(made_of == MadeOf::backup
                       ? "free some"
                       : "free some; databases that were left out of the restore have their full "
                         "size in a copy, so drop them (DB_DROP_LEFT_OUT=true)");
  }
}

void finish(Site& site, const std::string& node, NodeRecord& record) {
  record.unfinished = false;
  record.no_backup.clear();
  record.made_ms = unix_milliseconds();
  record.save(site.directory, node);
}

}  // namespace

void remove_leftovers(Site& site, const std::string& node, Leftovers which) {
  using restore::DirectoryState;
  const auto& directory = site.directory;
  auto record = NodeRecord::load(directory, node);
  const auto state = restore::inspect_directory(directory.data(node));
  const bool gone = state == DirectoryState::absent || state == DirectoryState::empty;
  // What is left of a primary may be all that there is of its data.
  const bool remove = (record && record->unfinished) || (gone && node != "primary") ||
                      (state == DirectoryState::interrupted && which == Leftovers::of_restores_too);
  if (!remove) return;
  // Half of it is of no use to anybody.
  if (record && record->unfinished && record->joined) {
    record->joined = false;
    record->save(directory, node);
  }
  forget_made_places(site, node);
  // An empty one may be a volume of its own.
  if (state != DirectoryState::empty) remove_tree(directory.data(node));
  remove_tree(directory.tablespaces(node));
}

void initialize_primary(Site& site) {
  const std::string node = "primary";
  site.board.enter(Phase::restoring);
  auto record = begin(site, node);
  const auto log = site.directory.logs(node) / "initdb.log";
  std::vector<std::string> arguments = {
      "-D",   site.directory.data(node), "-U",         site.settings.user, "-E",
      "UTF8", "--locale=C.UTF-8",        "--auth=peer"};
  arguments.emplace_back("--data-checksums");
  run_to_end(site, {.program = site.binaries / "initdb", .arguments = arguments, .log = log}, log);
  record.promoted = true;
  record.databases = {"postgres", "template1"};
  finish(site, node, record);
}

std::uint64_t primary_bytes(postgres::Connection& connection) {
  return parse_unsigned(connection.value("select sum(pg_tablespace_size(oid)) from pg_tablespace")
                            .value_or(""))
      .value_or(0);
}

void copy_primary(Site& site, const std::string& node, const std::string& because) {
  auto record = begin(site, node);
  record.made_because = because;
  const auto& directory = site.directory;
  const auto log = directory.logs(node) / "pg_basebackup.log";
  std::vector<std::string> arguments = {
      "-D",
      directory.data(node),
      "-h",
      site.primary_host.empty() ? site.marker.socket_directory.string() : site.primary_host,
      "-p",
      std::to_string(site.port("primary")),
      "-U",
      kReplicationRole,
      "-X",
      "stream",
      "-S",
      slot_name(node),
      "--checkpoint=fast",
      "--no-password"};
  const auto primary = NodeRecord::load(directory, "primary");
  auto connection = site.access(primary ? primary->source_user : "").open(site.port("primary"));
  const auto bytes = primary_bytes(connection);
  const auto tablespaces = tablespaces_of(connection);
  check_room(site, node, MadeOf::primary, bytes, tablespaces, Present::stays);
  // In this option a backslash keeps a '=' from dividing old from new.
  const auto escaped = [](const std::string& text) {
    std::string result;
    for (const char c : text) result += c == '=' ? std::string("\\=") : std::string(1, c);
    return result;
  };
  std::vector<std::filesystem::path> mapped;
  for (const auto& tablespace : tablespaces)
    if (auto place = mapped_place(site, node, tablespace)) mapped.push_back(*std::move(place));
  make_mapped_places(site, node, mapped);
  for (const auto& tablespace : tablespaces) {
    const auto place = place_of(site, node, tablespace);
    make_directories(place);
    arguments.push_back("--tablespace-mapping=" + escaped(tablespace.location) + "=" +
                        escaped(place));
  }
  std::map<std::string, std::optional<std::string>> environment = {
      {"PGPASSFILE", directory.replication_passfile().string()}};
  // By a socket of this host it is nobody else.
  if (site.settings.node_tls && !site.primary_host.empty()) {
    environment["PGSSLMODE"] = "verify-ca";
    // The same in every node's, and this one's are not made yet.
    environment["PGSSLROOTCERT"] = tls_files(directory.conf("primary")).authority;
  }
  const auto began = std::chrono::steady_clock::now();
  run_to_end(site,
             {.program = site.binaries / "pg_basebackup",
              .arguments = arguments,
              .environment = environment,
              .log = log},
             log);
  record.copied_bytes = bytes;
  record.copied_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::steady_clock::now() - began)
                         .count();
  share_source_settings(site, node);
  finish(site, node, record);
}

void check_fits_instead(const Site& site, const std::string& node, MadeOf made_of,
                        std::uint64_t bytes, postgres::Connection& primary) {
  check_room(site, node, made_of, bytes, tablespaces_of(primary), Present::goes);
}

void give_away(const StateDirectory& directory, const std::string& node) {
  const auto old = NodeRecord::load(directory, node).value_or(NodeRecord{});
  NodeRecord record;
  record.unfinished = true;
  record.joined = old.joined;
  record.copied_bytes = old.copied_bytes;
  record.copied_ms = old.copied_ms;
  record.save(directory, node);
}

}  // namespace pgrevive::cluster
