#include "cluster/tablespace_map.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "restore/target.h"

namespace pgrevive::cluster {
namespace {

bool is_of(const TablespaceMap::Entry& entry, std::uint32_t oid, std::string_view name) {
  return entry.tablespace == std::to_string(oid) || entry.tablespace == name;
}

bool really_lies_in(const std::filesystem::path& inner, const std::filesystem::path& outer) {
  if (outer.empty()) return false;
  std::error_code ignored;
  return lies_in(std::filesystem::weakly_canonical(inner, ignored),
                 std::filesystem::weakly_canonical(outer, ignored));
}

std::string obstacle(const std::filesystem::path& directory) {
  std::error_code failure;
  const auto status = std::filesystem::status(directory, failure);
  if (std::filesystem::exists(status)) return "is no directory";
  return status.type() == std::filesystem::file_type::not_found
             ? "is not there"
             : "cannot be looked at: " + failure.message();
}

}  // namespace

std::vector<std::filesystem::path> TablespaceMap::directories() const {
  std::vector<std::filesystem::path> found;
  const auto add = [&](const std::filesystem::path& directory) {
    if (!directory.empty() && std::ranges::find(found, directory) == found.end())
      found.push_back(directory);
  };
  for (const auto& entry : entries) add(entry.directory);
  add(all);
  return found;
}

std::optional<std::filesystem::path> TablespaceMap::place_of(
    const std::string& cluster_name, const std::string& node, std::uint32_t oid,
    const std::string& name, const std::vector<std::filesystem::path>& taken) const {
  std::filesystem::path directory = all;
  bool of_node = false;
  for (const auto& entry : entries) {
    if (!is_of(entry, oid, name) || of_node || (!entry.node.empty() && entry.node != node))
      continue;
    directory = entry.directory;
    of_node = !entry.node.empty();
  }
  if (directory.empty()) return {};
  const auto last = restore::tablespace_directory_name(oid, name);
  for (std::size_t number = 1;; ++number) {
    const auto suffix = number == 1 ? "" : fmt::format(".{}", number);
    auto place = directory / fmt::format("{}-{}{}", cluster_name, node, suffix) / last;
    if (std::ranges::find(taken, place) == taken.end()) return place;
  }
}

std::map<std::string, std::filesystem::path> mapped_tablespaces(
    const TablespaceMap& map, const std::string& cluster_name, const std::string& node,
    const std::vector<repository::ManifestTarget>& targets,
    const std::vector<std::filesystem::path>& taken) {
  std::map<std::string, std::filesystem::path> mapped;
  for (const auto& target : targets) {
    if (target.tablespace_oid == 0) continue;
    if (auto place = map.place_of(cluster_name, node, target.tablespace_oid,
                                  std::string(target.tablespace_name), taken))
      mapped.emplace(std::to_string(target.tablespace_oid), *std::move(place));
  }
  return mapped;
}

void check_tablespaces(const TablespaceMap& map,
                       const std::vector<repository::ManifestTarget>& targets) {
  std::vector<std::string> known;
  for (const auto& target : targets)
    if (target.tablespace_oid != 0)
      known.push_back(
          fmt::format("{} ({})", target.tablespace_oid, printable(target.tablespace_name)));
  const auto target_of = [&](const TablespaceMap::Entry& entry) {
    const auto found = std::ranges::find_if(targets, [&](const auto& target) {
      return target.tablespace_oid != 0 &&
             is_of(entry, target.tablespace_oid, target.tablespace_name);
    });
    if (found == targets.end())
      throw Error(ErrorKind::usage, fmt::format("TABLESPACE_MAP: the backup has no tablespace {}",
                                                printable(entry.tablespace, 60)))
          .with_hint(known.empty() ? "it has none at all; leave TABLESPACE_MAP out"
                                   : fmt::format("it has {}", fmt::join(known, ", ")));
    return found->tablespace_oid;
  };
  for (auto entry = map.entries.begin(); entry != map.entries.end(); ++entry) {
    const auto oid = target_of(*entry);
    const auto twice = std::find_if(map.entries.begin(), entry, [&](const auto& other) {
      return other.node == entry->node && target_of(other) == oid;
    });
    if (twice != entry)
      throw Error(ErrorKind::usage,
                  fmt::format("TABLESPACE_MAP names one tablespace twice{}: {} and {}",
                              entry->node.empty() ? "" : " for " + entry->node,
                              printable(twice->tablespace, 60), printable(entry->tablespace, 60)))
          .with_hint("leave one of them out");
  }
}

void check_directories(const TablespaceMap& map, const std::filesystem::path& root,
                       const std::filesystem::path& repository) {
  for (const auto& directory : map.directories()) {
    if (really_lies_in(directory, root))
      throw Error(ErrorKind::usage, fmt::format("{}, for tablespaces, lies in {}, which is the "
                                                "cluster's own and goes with it",
                                                directory.string(), root.string()))
          .with_hint("name a directory elsewhere; without one, tablespaces lie there anyhow");
    if (really_lies_in(directory, repository))
      throw Error(ErrorKind::usage, fmt::format("{}, for tablespaces, lies in the repository {}",
                                                directory.string(), repository.string()))
          .with_hint("name a directory elsewhere: a repository is only read");
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
      throw Error(ErrorKind::not_found,
                  fmt::format("{}, for tablespaces, {}", directory.string(), obstacle(directory)))
          .with_hint("mount it or make it, or change TABLESPACE_MAP");
    if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
      const int error = errno;
      throw system_error(error, "cannot write into " + directory.string() + ", for tablespaces")
          .with_hint("give it to the user whom the servers run as (chown)");
    }
  }
}

}  // namespace pgrevive::cluster
