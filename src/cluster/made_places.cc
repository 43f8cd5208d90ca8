#include "cluster/made_places.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/notices.h"
#include "cluster/supervisor_process.h"
#include "restore/restore.h"
#include "wal/tablespace_memory.h"

namespace pgrevive::cluster {
namespace {

std::vector<std::filesystem::path> linked_places(const std::filesystem::path& data) {
  std::vector<std::filesystem::path> places;
  std::error_code ignored;
  for (const auto& link : entries_if_exists(data / "pg_tblspc"))
    if (auto place = std::filesystem::read_symlink(link, ignored); !place.empty())
      places.push_back(std::move(place));
  return places;
}

bool contains(const std::vector<std::filesystem::path>& paths, const std::filesystem::path& path) {
  return std::ranges::find(paths, path) != paths.end();
}

// "PG_15_": what all catalog versions of the node's PostgreSQL begin with. Of a node that is not
// whole yet nobody may be able to tell, and what it has so far is in places of its own.
std::string version_directory(const std::filesystem::path& data) {
  const auto version = trim(read_file_if_exists(data / "PG_VERSION").value_or(""));
  if (version.empty())
    return restore::inspect_directory(data) == restore::DirectoryState::complete ? "" : "PG_";
  return "PG_" + std::string(version) + "_";
}

void remove_servers_files(const std::filesystem::path& place, const std::string& version) {
  if (version.empty()) return;
  for (const auto& path : entries_if_exists(place))
    if (path.filename().string().starts_with(version)) remove_tree(path);
}

// "PG_15_202209061", or something else that is there; empty: nothing.
std::string first_in(const std::filesystem::path& place) {
  const auto entries = entries_if_exists(place);
  return entries.empty() ? "" : entries.front().filename().string();
}

}  // namespace

NodeParts NodeParts::of(const StateDirectory& directory, const std::string& node) {
  return {.data = directory.data(node), .memory = directory.made_tablespaces(node)};
}

std::vector<std::filesystem::path> made_places(const NodeParts& node) {
  const auto known = wal::TablespaceMemory(node.memory).places_of(node.data);
  auto places = linked_places(node.data);
  std::erase_if(places, [&](const auto& place) {
    return !contains(known.made, place) && !contains(known.mapped, place);
  });
  // Where a node is not whole yet, files may come before the link to them.
  if (restore::inspect_directory(node.data) != restore::DirectoryState::complete)
    for (const auto& place : known.mapped)
      if (!contains(places, place)) places.push_back(place);
  return places;
}

std::vector<std::filesystem::path> mapped_places(const NodeParts& node) {
  const auto known = wal::TablespaceMemory(node.memory).places_of(node.data);
  auto places = made_places(node);
  std::erase_if(places, [&](const auto& place) { return !contains(known.mapped, place); });
  return places;
}

std::vector<std::filesystem::path> mapped_places_beside(const StateDirectory& directory,
                                                        const std::string& node) {
  std::vector<std::filesystem::path> places;
  for (const auto& other : existing_nodes(directory))
    if (other != node)
      for (auto& place : mapped_places(NodeParts::of(directory, other)))
        places.push_back(std::move(place));
  return places;
}

void refuse_others_places(const std::string& node, const std::vector<std::filesystem::path>& places,
                          const std::vector<std::filesystem::path>& ours) {
  for (const auto& place : places) {
    if (contains(ours, place)) continue;
    if (const auto there = first_in(place); !there.empty())
      throw Error(ErrorKind::target_not_empty, printable(place.string()) +
                                                   ", for a tablespace of " + node +
                                                   ", holds files already: " + printable(there, 60))
          .with_hint(
              "change CLUSTER_NAME or TABLESPACE_MAP if they are another cluster's, or "
              "empty that directory");
  }
}

void make_mapped_places(Site& site, const std::string& node,
                        const std::vector<std::filesystem::path>& places) {
  if (places.empty()) return;
  const auto parts = NodeParts::of(site.directory, node);
  wal::TablespaceMemory memory(parts.memory);
  refuse_others_places(node, places, memory.places_of(parts.data).mapped);
  make_directories(parts.data);
  for (const auto& place : places) {
    const auto named = place.parent_path().parent_path();
    if (!std::filesystem::is_directory(named))
      throw Error(ErrorKind::not_found,
                  printable(named.string()) + ", for tablespaces of " + node + ", is not there")
          .with_hint("mount it or make it, or change TABLESPACE_MAP");
    for (const auto& directory : {place.parent_path(), place}) {
      if (std::filesystem::is_directory(directory)) continue;
      make_directories(directory);
      memory.add_made(parts.data, {directory});
    }
    memory.add_mapped(parts.data, place);
    site.board.log(node + ": a tablespace goes to " + printable(place.string()));
  }
  memory.save();
}

RemovedPlaces remove_made_places(const NodeParts& node) {
  RemovedPlaces result;
  const auto version = version_directory(node.data);
  const auto known = wal::TablespaceMemory(node.memory).places_of(node.data);
  for (const auto& place : made_places(node)) {
    std::error_code ignored;
    if (contains(known.mapped, place) && !std::filesystem::exists(place, ignored)) {
      result.kept.push_back(place.string() +
                            " is not there: what its disk has of the tablespace stays");
      continue;
    }
    try {
      remove_servers_files(place, version);
    } catch (const Error& error) {
      result.kept.push_back(place.string() + ": " + error.what());
    }
  }
  for (auto path = known.made.rbegin(); path != known.made.rend(); ++path) {
    if (::rmdir(path->c_str()) == 0)
      result.removed.push_back(*path);
    else if (errno != ENOENT)
      result.kept.push_back(path->string() +
                            ", made for a tablespace: " + std::generic_category().message(errno));
  }
  return result;
}

void forget_made_places(Site& site, const std::string& node) {
  const auto parts = NodeParts::of(site.directory, node);
  // What is left of a primary may be all that there is of its data.
  std::error_code ignored;
  if (node != "primary" || std::filesystem::exists(parts.data, ignored))
    for (const auto& kept : remove_made_places(parts).kept)
      site.board.warn(notice("tablespace_kept", kept));
  remove_tree(parts.memory);
}

void warn_of_made_places(Site& site) {
  const auto parts = NodeParts::of(site.directory, "primary");
  const auto mapped = mapped_places(parts);
  for (const auto& place : made_places(parts))
    if (!contains(mapped, place))
      site.board.warn(notice("tablespace_made", printable(place.string())));
}

}  // namespace pgrevive::cluster
