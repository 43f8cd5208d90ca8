#include "cluster/cleanup.h"

#include <algorithm>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/backrest_conf.h"
#include "cluster/leftovers.h"
#include "cluster/marker.h"
#include "cluster/node_files.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {
namespace {

// Whether a server has put a database cluster or a tablespace there.
bool holds_a_servers_files(const std::filesystem::path& path) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored))
    if (entry.path().filename().string().starts_with("PG_")) return true;
  return false;
}

// The tablespaces of all nodes: one may have been made in another's directory.
std::vector<std::filesystem::path> own_tablespaces(const StateDirectory& directory) {
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& node : existing_nodes(directory))
    for (const auto& entry :
         std::filesystem::directory_iterator(directory.data(node) / "pg_tblspc", ignored))
      found.push_back(std::filesystem::canonical(entry.path(), ignored));
  return found;
}

// Removes what is in a node's directory but for what a server of somebody else keeps there. Its
// data goes after its tablespaces: the links in it say whose they are, also to a cleanup that comes
// after one that was cut off.
void remove_node(const StateDirectory& directory, const std::string& node,
                 const std::vector<std::filesystem::path>& own, Cleanup& result) {
  bool all = true;
  std::error_code ignored;
  for (const auto& place : {directory.tablespaces(node), directory.node(node)}) {
    for (const auto& entry : std::filesystem::directory_iterator(place, ignored)) {
      const auto& path = entry.path();
      if (path == directory.data(node) || path == directory.tablespaces(node)) continue;
      const bool ours =
          entry.is_symlink(ignored) || !holds_a_servers_files(path) ||
          std::ranges::find(own, std::filesystem::canonical(path, ignored)) != own.end();
      if (ours) {
        remove_tree(path);
        continue;
      }
      all = false;
      result.kept.push_back(path.string() + ", which a server outside of this cluster uses");
    }
  }
  remove_tree(directory.data(node));
  if (all) remove_tree(directory.node(node));
}

// What lies beside a file.
void remove_all_but(const std::filesystem::path& file) {
  std::error_code ignored;
  std::vector<std::filesystem::path> others;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), ignored))
    if (entry.path() != file) others.push_back(entry.path());
  for (const auto& path : others) remove_tree(path);
}

// Removes what state_directory.h lists, the mark that it is ours last, so that a cleanup that was
// cut off can be run again. What somebody else put there stays.
void remove_our_files(const StateDirectory& directory, CleanupOf what, Cleanup& result) {
  const auto nodes = existing_nodes(directory);
  const auto own = own_tablespaces(directory);
  for (const auto& node : nodes) remove_node(directory, node, own, result);
  for (const auto& path :
       {directory.pgbackrest(), directory.archive(), directory.secrets(), directory.adminer(),
        directory.program().parent_path(), directory.run(), directory.source_conf(),
        directory.fork()})
    remove_tree(path);
  const auto logs = directory.restores().parent_path();
  if (what == CleanupOf::everything) {
    for (const auto& path : {logs, directory.settings()}) remove_tree(path);
  } else {
    remove_all_but(directory.restores());
  }
  bool foreign = false;
  for (const auto& entry : std::filesystem::directory_iterator(directory.root())) {
    if (entry.path() == directory.marker() || entry.path() == directory.settings() ||
        entry.path() == logs)
      continue;
    if (is_unfinished(entry.path(), directory)) {
      std::filesystem::remove(entry.path());
      continue;
    }
    foreign = true;
    if (std::ranges::find(nodes, entry.path().filename().string()) != nodes.end()) continue;
    result.kept.push_back(entry.path().string() + ", which pgrevive did not make");
  }
  if (what == CleanupOf::what_was_made) return;
  if (foreign) {
    remove_tree(directory.marker());
    return;
  }
  // Who owns a cluster may not own where it lies, and leaves an empty directory.
  if (::faccessat(AT_FDCWD, directory.root().parent_path().c_str(), W_OK, AT_EACCESS) != 0) {
    remove_tree(directory.marker());
    return;
  }
  remove_tree(directory.root());
  result.removed.push_back(directory.root().string());
}

}  // namespace

Cleanup cleanup(const StateDirectory& directory) {
  return cleanup(directory, CleanupOf::everything);
}

Cleanup cleanup(const StateDirectory& directory, CleanupOf what) {
  Cleanup result;
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(directory.root(), ignored)))
    return result;
  if (std::filesystem::is_symlink(directory.root(), ignored))
    throw Error(ErrorKind::target_not_empty, directory.root().string() + " is a link")
        .with_hint("remove by hand what it leads to, if that is what you want");
  const auto marker = Marker::load(directory);
  if (!marker)
    throw Error(ErrorKind::target_not_empty,
                directory.root().string() + " was not made by pgrevive, so it stays as it is");
  refuse_foreign_servers(directory);
  stop(directory, std::chrono::minutes(10));

  for (const auto& node : existing_nodes(directory)) {
    for (const auto& place : outside_tablespaces(directory, node))
      result.kept.push_back("tablespace in " + place.string());
    result.removed.push_back("data and logs of " + node);
  }
  if (const auto text = read_file_if_exists(directory.settings())) {
    const auto settings = from_json(*text);
    if (settings.archives()) {
      const auto archive = own_archive(settings, directory, marker->archive_suffix);
      if (archive.type == repository::RepositoryOptions::Type::s3 ||
          archive.path != directory.archive())
        result.kept.push_back("WAL archive in " + archive.describe());
      else
        result.removed.push_back("WAL archive in " + archive.path.string());
    }
  }
  // Only the one that a directory at this place would have: the marker may be a copy of another
  // cluster's, whose sockets are in use, or may have been written by someone else.
  if (marker->socket_directory != directory.run() &&
      marker->socket_directory == choose_socket_directory(directory, marker->owner))
    remove_tree(marker->socket_directory);
  remove_our_files(directory, what, result);
  return result;
}

}  // namespace pgrevive::cluster
