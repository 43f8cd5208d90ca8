#include "cluster/leftovers.h"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {

bool is_unfinished(const std::filesystem::path& entry, const StateDirectory& directory) {
  const auto name = entry.filename().string();
  const std::array ours{directory.marker(), directory.settings(), directory.source_conf(),
                        directory.fork(), directory.reindex_request()};
  return std::ranges::any_of(ours, [&](const std::filesystem::path& file) {
    return name.starts_with("." + file.filename().string() + ".tmp.");
  });
}

namespace {

// Before the marker there is no more than this in run/.
bool is_of_a_beginning(const std::filesystem::directory_entry& entry,
                       const StateDirectory& directory) {
  std::error_code ignored;
  const auto& path = entry.path();
  return entry.symlink_status(ignored).type() == std::filesystem::file_type::regular &&
         (path == directory.supervisor_lock() || path == directory.reindex_request() ||
          is_unfinished(path, directory));
}

}  // namespace

bool holds_files(const StateDirectory& directory) {
  namespace fs = std::filesystem;
  std::error_code failure;
  for (fs::directory_iterator entry(directory.root(), failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (is_unfinished(entry->path(), directory)) continue;
    if (entry->path() == directory.change_lock()) continue;
    if (entry->path() != directory.run() || !fs::is_directory(entry->symlink_status())) return true;
    std::error_code unseen;
    for (fs::directory_iterator inside(directory.run(), unseen); !unseen && inside != end;
         inside.increment(unseen))
      if (!is_of_a_beginning(*inside, directory)) return true;
    if (unseen) return true;
  }
  return failure && failure != std::errc::no_such_file_or_directory;
}

namespace {

std::filesystem::path places_of_nodes(const StateDirectory& directory) {
  return directory.node("primary").parent_path();
}

}  // namespace

std::filesystem::path set_aside_name(const StateDirectory& directory, const std::string& node) {
  const auto first = places_of_nodes(directory) / ("." + node + ".gone");
  auto name = first;
  for (int i = 2; std::filesystem::exists(std::filesystem::symlink_status(name)); ++i)
    name = first.string() + "-" + std::to_string(i);
  return name;
}

std::vector<std::filesystem::path> set_aside(const StateDirectory& directory) {
  const auto nodes = possible_nodes();
  std::vector<std::filesystem::path> found;
  for (const auto& path : entries_if_exists(places_of_nodes(directory))) {
    const auto name = path.filename().string();
    if (std::ranges::any_of(nodes, [&](const std::string& node) {
          const auto first = "." + node + ".gone";
          return name == first || name.starts_with(first + "-");
        }))
      found.push_back(path);
  }
  return found;
}

void refuse_half_removed(const StateDirectory& directory) {
  const auto left = set_aside(directory);
  if (left.empty()) return;
  throw Error(ErrorKind::target_not_empty, "the removal of this cluster was cut off: " +
                                               left.front().string() + " is of what it has left")
      .with_hint("`cleanup` completes it; so does `start --anew`, which makes the cluster anew");
}

}  // namespace pgrevive::cluster
