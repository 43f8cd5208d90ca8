#include "cluster/new_cluster.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/configuration.h"
#include "cluster/node_record.h"
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
  // A restore that was cut off cannot be continued once the primary has gone on from the backup.
  if ((old && old->unfinished) ||
      restore::inspect_directory(directory.data(node)) == restore::DirectoryState::interrupted) {
    remove_tree(directory.data(node));
    remove_tree(directory.tablespaces(node));
  }
  remove_tree(directory.conf(node));
  remove_tree(directory.made_tablespaces(node));
  make_directories(directory.node(node));
  make_directories(directory.logs(node));
  make_directories(directory.data(node));
  NodeRecord record;
  record.unfinished = true;
  record.save(directory, node);
  return record;
}

// The server writes as zeros what is a hole on its disk: what was left out of a partial cluster
// takes its full size in a copy.
void check_room(Site& site, const std::string& node, postgres::Connection& connection) {
  const auto bytes =
      parse_unsigned(
          connection.value("select sum(pg_tablespace_size(oid)) from pg_tablespace").value_or(""))
          .value_or(0);
  const auto place = site.directory.data(node);
  const auto free = disk_space(place).free_bytes;
  if (bytes <= free) return;
  throw Error(ErrorKind::system,
              fmt::format("{} has {} free, and a copy of the primary, {}, does not fit",
                          place.string(), format_bytes(free), format_bytes(bytes)))
      .with_hint(
          "free some; databases that were left out of the restore have their full size in a copy, "
          "so drop them (DB_DROP_LEFT_OUT=true)");
}

void finish(Site& site, const std::string& node, NodeRecord& record) {
  record.unfinished = false;
  record.made_ms = unix_milliseconds();
  record.save(site.directory, node);
}

}  // namespace

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

void copy_primary(Site& site, const std::string& node) {
  auto record = begin(site, node);
  const auto& directory = site.directory;
  const auto log = directory.logs(node) / "pg_basebackup.log";
  std::vector<std::string> arguments = {"-D",
                                        directory.data(node),
                                        "-h",
                                        site.marker.socket_directory,
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
  check_room(site, node, connection);
  for (const auto& row :
       connection.query("select oid::text, pg_tablespace_location(oid) from pg_tablespace "
                        "where pg_tablespace_location(oid) <> ''")) {
    const auto place = directory.tablespaces(node) / row.at(0).value_or("");
    make_directories(place);
    // In this option a backslash keeps a '=' from dividing old from new.
    const auto escaped = [](const std::string& text) {
      std::string result;
      for (const char c : text) result += c == '=' ? std::string("\\=") : std::string(1, c);
      return result;
    };
    arguments.push_back("--tablespace-mapping=" + escaped(row.at(1).value_or("")) + "=" +
                        escaped(place));
  }
  site.board.log(node + ": copying the primary");
  run_to_end(site,
             {.program = site.binaries / "pg_basebackup",
              .arguments = arguments,
              .environment = {{"PGPASSFILE", directory.replication_passfile().string()}},
              .log = log},
             log);
  finish(site, node, record);
}

void give_away(Site& site, const std::string& node) {
  NodeRecord record;
  record.unfinished = true;
  record.save(site.directory, node);
}

}  // namespace pgrevive::cluster
