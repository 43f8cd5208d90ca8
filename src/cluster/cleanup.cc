#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "cluster/backrest_conf.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"
#include "cluster/supervisor_process.h"
#include "postgres/server.h"

namespace pgrevive::cluster {
namespace {

// Tablespaces that were made later, in places of the user's own.
std::vector<std::string> outside_tablespaces(const StateDirectory& directory,
                                             const std::string& node) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory.data(node) / "pg_tblspc", ignored)) {
    const auto target = std::filesystem::read_symlink(entry.path(), ignored);
    const auto inside = directory.root().lexically_normal().string() + "/";
    if (!target.empty() && !target.lexically_normal().string().starts_with(inside))
      found.push_back("tablespace in " + target.string());
  }
  return found;
}

// Removes what state_directory.h lists, the mark that it is ours last, so that a cleanup that was
// cut off can be run again. What somebody else put there stays.
void remove_our_files(const StateDirectory& directory, Cleanup& result) {
  for (const auto& node : existing_nodes(directory)) remove_tree(directory.node(node));
  for (const auto& path :
       {directory.pgbackrest(), directory.archive(), directory.secrets(), directory.adminer(),
        directory.supervisor_log().parent_path(), directory.program().parent_path(),
        directory.run(), directory.source_conf(), directory.fork(), directory.settings()})
    remove_tree(path);
  bool foreign = false;
  for (const auto& entry : std::filesystem::directory_iterator(directory.root())) {
    if (entry.path() == directory.marker()) continue;
    foreign = true;
    result.kept.push_back(entry.path().string() + ", which pgrevive did not make");
  }
  if (foreign) {
    remove_tree(directory.marker());
    return;
  }
  remove_tree(directory.root());
  result.removed.push_back(directory.root().string());
}

}  // namespace

Cleanup cleanup(const StateDirectory& directory) {
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
  for (const auto& node : existing_nodes(directory))
    if (postgres::is_running(directory.data(node)) && !server_is_ours(directory, node))
      throw Error(ErrorKind::busy, "a server that this cluster did not start runs on " +
                                       directory.data(node).string())
          .with_hint("stop that server first");
  stop(directory, std::chrono::minutes(10));

  for (const auto& node : existing_nodes(directory)) {
    for (auto& kept : outside_tablespaces(directory, node)) result.kept.push_back(std::move(kept));
    result.removed.push_back("data and logs of " + node);
  }
  if (const auto text = read_file_if_exists(directory.settings())) {
    const auto settings = from_json(*text);
    if (settings.wal_archive == WalArchiveMode::own) {
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
  remove_our_files(directory, result);
  return result;
}

}  // namespace pgrevive::cluster
