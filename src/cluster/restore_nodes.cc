#include "cluster/restore_nodes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/file.h"
#include "cluster/made_places.h"
#include "cluster/node_files.h"
#include "cluster/recovery.h"
#include "cluster/restore_log.h"
#include "repository/open.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

NodeRecord record_of(const repository::Manifest& manifest, const BackupToRestore& what) {
  NodeRecord record;
  record.backup_label = what.label.text();
  record.left_out = restore::left_out_databases(manifest, what.databases);
  record.made_ms = unix_milliseconds();
  record.made_because = what.made_because;
  record.source_newest = what.source_newest;
  record.furthest = what.furthest;
  record.online = manifest.online;
  record.archive_start = manifest.archive_start.value_or("");
  record.archive_stop = manifest.archive_stop.value_or("");
  record.lsn_stop = manifest.lsn_stop ? manifest.lsn_stop->text() : "";
  for (const auto& path : manifest.paths)
    if (path.name == "pg_data") record.source_user = std::string(manifest.owner_of(path).user);
  record.after_promotion = what.after_promotion;
  return record;
}

std::vector<std::filesystem::path> values_of(
    const std::map<std::string, std::filesystem::path>& map) {
  std::vector<std::filesystem::path> values;
  for (const auto& [key, value] : map) values.push_back(value);
  return values;
}

// What an interrupted restore has put there is gone on with.
bool has_its_places(const NodeParts& node, std::vector<std::filesystem::path> places) {
  if (restore::inspect_directory(node.data) != restore::DirectoryState::interrupted) return false;
  auto known = mapped_places(node);
  std::ranges::sort(known);
  std::ranges::sort(places);
  return known == places;
}

}  // namespace

void restore_nodes(Site& site, const std::vector<std::string>& nodes, const BackupToRestore& what) {
  const auto& directory = site.directory;
  // Before anything is fetched; timelines that the source left may still make it longer.
  for (const auto& node : nodes)
    check_restore_command(source_restore_command(site, node), site.version);
  RestoreLog log(site.board, directory, nodes, site.settings.repository.stanza);
  for (const auto& node : nodes) {
    make_directories(directory.node(node));
    make_directories(directory.logs(node));
  }
  auto place = site.settings.repository;
  place.s3.on_retry = [&log](const std::string& text) { log.retry(text); };
  place.s3.on_throttled = [&log] { log.throttled(); };
  const auto repository = repository::open_repository(place);
  const auto manifest = repository.load_manifest(repository.load_backup_info(), what.label);
  site.board.enter(Phase::restoring);

  restore::Options options;
  options.jobs = site.settings.process_max;
  options.databases = what.databases;
  const auto record = record_of(manifest, what);
  for (const auto& node : nodes) {
    remove_tree(directory.conf(node));
    // Before the restore: a directory that is whole must never lack the record of its backup.
    record.save(directory, node);
    auto mapped = mapped_tablespaces(site.settings.tablespaces, site.settings.cluster_name, node,
                                     manifest.targets, mapped_places_beside(directory, node));
    const auto places = values_of(mapped);
    if (!has_its_places(NodeParts::of(directory, node), places)) forget_made_places(site, node);
    make_mapped_places(site, node, places);
    if (node == "primary") remove_tree(directory.collations());  // of other data
    options.nodes.push_back({.name = node,
                             .data_directory = directory.data(node),
                             .tablespace_map = std::move(mapped),
                             .tablespace_root = directory.tablespaces(node)});
  }
  log.begin(what.label.text(), site.settings.repository.describe());
  try {
    const auto summary = restore::restore(repository, manifest, options, log, site.stop);
    log.end(summary);
  } catch (const Error& error) {
    log.failed(error);
    throw;
  }
}

restore::DatabaseChoice same_databases(const NodeRecord& record) {
  restore::DatabaseChoice choice;
  for (const auto& database : record.left_out)
    choice.exclude.push_back(std::to_string(database.oid));
  return choice;
}

}  // namespace pgrevive::cluster
