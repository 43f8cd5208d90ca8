#include "cluster/cleanup.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mounts.h"
#include "cluster/backrest_conf.h"
#include "cluster/change_lock.h"
#include "cluster/console_process.h"
#include "cluster/identity_scope.h"
#include "cluster/leftovers.h"
#include "cluster/made_places.h"
#include "cluster/marker.h"
#include "cluster/node_files.h"
#include "cluster/program_copy.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {
namespace {

// Whether a server has put a database cluster or a tablespace there.
bool holds_a_servers_files(const std::filesystem::path& path) {
  return std::ranges::any_of(entries_if_exists(path), [](const std::filesystem::path& entry) {
    return entry.filename().string().starts_with("PG_");
  });
}

// The directories of all nodes, those that a removal before this one has set aside too.
std::vector<std::filesystem::path> places_of_nodes(const StateDirectory& directory) {
  auto places = set_aside(directory);
  for (const auto& node : existing_nodes(directory)) places.push_back(directory.node(node));
  return places;
}

// The tablespaces of all nodes: one may have been made in another's directory.
std::vector<std::filesystem::path> own_tablespaces(const StateDirectory& directory) {
  const auto data = directory.data("primary").filename();
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& place : places_of_nodes(directory))
    for (const auto& link : entries_if_exists(place / data / "pg_tblspc"))
      found.push_back(std::filesystem::canonical(link, ignored));
  return found;
}

bool is_link(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_symlink(path, ignored);
}

// What a server of somebody else keeps in a node's directory. What lies behind a link stays anyhow.
std::vector<std::filesystem::path> places_of_others(const StateDirectory& directory,
                                                    const std::string& node,
                                                    const std::vector<std::filesystem::path>& own) {
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& place : {directory.tablespaces(node), directory.node(node)}) {
    if (is_link(place)) continue;
    for (const auto& path : entries_if_exists(place)) {
      if (path == directory.data(node) || path == directory.tablespaces(node)) continue;
      const bool ours =
          is_link(path) || !holds_a_servers_files(path) ||
          std::ranges::find(own, std::filesystem::canonical(path, ignored)) != own.end();
      if (!ours) found.push_back(path);
    }
  }
  return found;
}

// Gives all nodes names under which nobody takes them for nodes, in place, so that nothing is lost
// yet: where one of them cannot be renamed all have their names back.
class SettingAside {
 public:
  explicit SettingAside(const StateDirectory& directory)
      : directory_(directory), root_(directory.node("primary").parent_path()) {}

  void run(Cleanup& result) {
    const auto own = own_tablespaces(directory_);
    try {
      for (const auto& node : existing_nodes(directory_)) {
        const auto others = places_of_others(directory_, node, own);
        for (const auto& path : others)
          result.kept.push_back(path.string() + ", which a server outside of this cluster uses");
        if (others.empty())
          rename(directory_.node(node), set_aside_name(directory_, node));
        else
          set_aside_all_but(others, node);
      }
      fsync_path(root_);
    } catch (const std::exception&) {
      undo();
      throw;
    }
  }

 private:
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    rename_below(root_, from, to);
    done_.emplace_back(from, to);
  }

  // What others use has to keep its path. The data comes first: without it the rest is no node.
  void set_aside_all_but(const std::vector<std::filesystem::path>& others,
                         const std::string& node) {
    const auto place = set_aside_name(directory_, node);
    const auto tablespaces = directory_.tablespaces(node);
    make_directories(place);
    made_.push_back(place);
    fsync_path(root_);
    std::error_code ignored;
    if (std::filesystem::exists(std::filesystem::symlink_status(directory_.data(node), ignored)))
      rename(directory_.data(node), place / directory_.data(node).filename());
    for (const auto& from : {directory_.node(node), tablespaces}) {
      const auto to = from == tablespaces ? place / tablespaces.filename() : place;
      if (is_link(from)) continue;
      std::vector<std::filesystem::path> entries;
      for (auto& entry : entries_if_exists(from)) {
        const bool is_next = entry == tablespaces && !is_link(entry);
        if (!is_next && std::ranges::find(others, entry) == others.end())
          entries.push_back(std::move(entry));
      }
      if (entries.empty()) continue;
      if (to != place) {
        make_directories(to);
        made_.push_back(to);
      }
      for (const auto& entry : entries) rename(entry, to / entry.filename());
      fsync_path(from);
      fsync_path(to);
    }
    // Empty where nobody else has a tablespace there.
    ::rmdir(tablespaces.c_str());
  }

  void undo() {
    std::error_code ignored;
    for (auto move = done_.rbegin(); move != done_.rend(); ++move)
      std::filesystem::rename(move->second, move->first, ignored);
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) ::rmdir(path->c_str());
  }

  const StateDirectory& directory_;
  std::filesystem::path root_;
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> done_;
  std::vector<std::filesystem::path> made_;
};

// All that lies beside a file that is kept.
void remove_others(const std::filesystem::path& root, const std::filesystem::path& kept) {
  for (const auto& path : entries_if_exists(kept.parent_path()))
    if (path != kept) remove_below(root, path);
}

// Removes what state_directory.h lists beside the nodes, but for the mark that it is ours. What
// somebody else put there stays; returns whether there is such.
bool remove_beside_nodes(const StateDirectory& directory, CleanupOf what, Cleanup& result) {
  const auto& root = directory.root();
  for (const auto& path : {directory.pgbackrest(), directory.archive(), directory.adminer(),
                           directory.program().parent_path(), directory.run(),
                           directory.source_conf(), directory.fork()})
    remove_below(root, path);
  const auto logs = directory.restores().parent_path();
  const auto secrets = directory.secrets();
  if (what == CleanupOf::everything) {
    for (const auto& path : {logs, secrets, directory.settings()}) remove_below(root, path);
  } else {
    remove_others(root, directory.restores());
    remove_others(root, console_token_file(directory));
  }
  const auto nodes = existing_nodes(directory);
  const auto going = set_aside(directory);
  bool foreign = false;
  for (const auto& path : entries_of(root)) {
    if (path == directory.marker() || path == directory.settings() || path == logs ||
        path == secrets || path == directory.change_lock() ||
        std::ranges::find(going, path) != going.end())
      continue;
    if (is_unfinished(path, directory)) {
      remove_below(root, path);
      continue;
    }
    foreign = true;
    if (std::ranges::find(nodes, path.filename().string()) != nodes.end()) continue;
    result.kept.push_back(path.string() + ", which pgrevive did not make");
  }
  return foreign;
}

std::optional<repository::RepositoryOptions> archive_of(const StateDirectory& directory,
                                                        const Marker& marker) {
  const auto text = read_file_if_exists(directory.settings());
  if (!text) return {};
  const auto settings = from_json(*text);
  if (!settings.archives()) return {};
  return own_archive(settings, directory, marker.archive_suffix);
}

bool lies_outside(const repository::RepositoryOptions& archive, const StateDirectory& directory) {
  return archive.type == repository::RepositoryOptions::Type::s3 ||
         archive.path != directory.archive();
}

// What stays although it was the cluster's.
void tell_what_stays(const StateDirectory& directory, const Marker& marker, Cleanup& result) {
  for (const auto& node : existing_nodes(directory)) {
    const auto made = made_places(NodeParts::of(directory, node));
    for (const auto& place : outside_tablespaces(directory, node))
      if (std::ranges::find(made, place) == made.end())
        result.kept.push_back("tablespace in " + place.string());
    std::error_code ignored;
    for (const auto& place : {directory.data(node), directory.tablespaces(node)})
      if (const auto target = std::filesystem::read_symlink(place, ignored); !target.empty())
        result.kept.push_back(target.string() + ", to which " + place.string() + " led");
    result.removed.push_back("data and logs of " + node);
  }
  const auto archive = archive_of(directory, marker);
  if (!archive) return;
  if (lies_outside(*archive, directory))
    result.kept.push_back("WAL archive in " + archive->describe());
  else
    result.removed.push_back("WAL archive in " + archive->path.string());
}

// Whoever the directory belongs to, which only root could have decided.
Identity owner_of(const std::filesystem::path& root) {
  auto current = Identity::current();
  struct stat info {};
  if (current.uid != 0 || ::lstat(root.c_str(), &info) != 0 || info.st_uid == 0) return current;
  if (auto owner = Identity::find(info.st_uid)) return *std::move(owner);
  throw Error(ErrorKind::denied, root.string() + " belongs to user " + std::to_string(info.st_uid) +
                                     ", who is unknown here")
      .with_hint("make such a user, or give the directory to another (chown -R)");
}

Marker check_is_ours(const StateDirectory& directory) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(directory.root(), ignored))
    throw Error(ErrorKind::target_not_empty, directory.root().string() + " is a link")
        .with_hint("remove by hand what it leads to, if that is what you want");
  if (auto marker = Marker::load(directory)) return *std::move(marker);
  throw Error(ErrorKind::target_not_empty,
              directory.root().string() + " was not made by pgrevive, so it stays as it is");
}

void remove_set_aside(const StateDirectory& directory, const std::filesystem::path& place,
                      Cleanup& result) {
  auto made =
      remove_made_places({.data = place / directory.data("primary").filename(),
                          .memory = place / directory.made_tablespaces("primary").filename()});
  for (const auto& path : made.removed) result.removed.push_back(path.string());
  for (auto& text : made.kept) result.kept.push_back(std::move(text));
  remove_below(place.parent_path(), place);
}

// Returns whether nothing is left in the directory.
bool stop_and_remove(const StateDirectory& directory, CleanupOf what,
                     const std::function<void()>& in_between, Cleanup& result) {
  const auto marker = check_is_ours(directory);
  check_removable(directory, what);
  refuse_foreign_servers(directory);
  stop(directory, std::chrono::minutes(10));

  tell_what_stays(directory, marker, result);
  SettingAside(directory).run(result);
  // Only the one that a directory at this place would have: the marker may be a copy of another
  // cluster's, whose sockets are in use, or may have been written by someone else.
  if (marker.socket_directory != directory.run() &&
      marker.socket_directory == choose_socket_directory(directory, marker.owner))
    remove_tree(marker.socket_directory);
  const bool foreign = remove_beside_nodes(directory, what, result);
  if (in_between) in_between();
  for (const auto& place : set_aside(directory)) remove_set_aside(directory, place, result);
  if (what == CleanupOf::what_was_made) return false;
  // In this order: a lock of another file is of no use to who still sees a cluster here.
  for (const auto& path : {directory.marker(), directory.change_lock()})
    remove_below(directory.root(), path);
  return !foreign;
}

// What a restore from the console has left whose shell was killed.
void remove_programs_beside(const StateDirectory& directory, uid_t owner, Cleanup& result) {
  for (const auto& place : programs_beside(directory, owner)) {
    try {
      remove_tree(place);
      result.removed.push_back("a copy of the programs in " + place.string());
    } catch (const Error& error) {
      result.kept.push_back("a copy of the programs in " + place.string() + ": " + error.what());
    }
  }
}

[[noreturn]] void refuse_link(const std::filesystem::path& path) {
  throw Error(ErrorKind::target_not_empty,
              path.string() + " is a link, or no directory, and is not removed")
      .with_hint("remove it by hand, and what it leads to if that is what you want");
}

[[noreturn]] void refuse_mount(const std::filesystem::path& path) {
  throw Error(ErrorKind::busy, path.string() + " is on another file system and cannot be removed")
      .with_hint("stop the cluster and unmount it (umount " + path.string() +
                 "), or empty and remove it by hand");
}

}  // namespace

std::optional<repository::RepositoryOptions> kept_archive(const StateDirectory& directory) {
  const auto marker = Marker::load(directory);
  if (!marker) return {};
  auto archive = archive_of(directory, *marker);
  if (archive && !lies_outside(*archive, directory)) archive.reset();
  return archive;
}

void check_removable(const StateDirectory& directory, CleanupOf what) {
  struct stat root {};
  if (::stat(directory.root().c_str(), &root) != 0)
    throw system_error(errno, "cannot look at " + directory.root().string());
  std::vector<std::filesystem::path> ours{directory.pgbackrest(),
                                          directory.archive(),
                                          directory.secrets(),
                                          directory.adminer(),
                                          directory.program().parent_path(),
                                          directory.run(),
                                          directory.restores().parent_path()};
  for (const auto& node : possible_nodes()) {
    ours.push_back(directory.node(node));
    for (const auto& place :
         {directory.node(node), directory.data(node), directory.tablespaces(node)}) {
      struct stat info {};
      if (::lstat(place.c_str(), &info) != 0) continue;
      const bool tolerable = what == CleanupOf::everything && place != directory.node(node);
      if (!S_ISDIR(info.st_mode) && !tolerable) refuse_link(place);
      // Also a subvolume, which is no mount.
      if (S_ISDIR(info.st_mode) && info.st_dev != root.st_dev) refuse_mount(place);
    }
  }
  for (const auto& place : set_aside(directory)) ours.push_back(place);
  for (const auto& place : ours)
    if (const auto mounts = mounts_in(place); !mounts.empty()) refuse_mount(mounts.front());
}

Cleanup cleanup(const StateDirectory& directory) {
  Cleanup result;
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(directory.root(), ignored)))
    return result;
  check_is_ours(directory);
  bool empty = false;
  {
    const auto owner = owner_of(directory.root());
    const IdentityScope scope(owner);
    const auto held = ChangeLock::take(directory, kCleanup);
    empty = stop_and_remove(directory, CleanupOf::everything, {}, result);
    remove_programs_beside(directory, owner.uid, result);
  }
  // Who owns a cluster may not own where it lies, and leaves an empty directory.
  if (empty && ::rmdir(directory.root().c_str()) == 0)
    result.removed.push_back(directory.root().string());
  return result;
}

Cleanup clear(const StateDirectory& directory, const ChangeLock&,
              const std::function<void()>& in_between) {
  Cleanup result;
  const IdentityScope scope(owner_of(directory.root()));
  stop_and_remove(directory, CleanupOf::what_was_made, in_between, result);
  return result;
}

}  // namespace pgrevive::cluster
