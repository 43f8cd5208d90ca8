#include "cluster/leftovers.h"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

namespace pgrevive::cluster {

bool is_unfinished(const std::filesystem::path& entry, const StateDirectory& directory) {
  const auto name = entry.filename().string();
  const std::array ours{directory.marker(), directory.settings(), directory.source_conf(),
                        directory.fork()};
  return std::ranges::any_of(ours, [&](const std::filesystem::path& file) {
    return name.starts_with("." + file.filename().string() + ".tmp.");
  });
}

bool holds_files(const StateDirectory& directory) {
  namespace fs = std::filesystem;
  std::error_code failure;
  for (fs::directory_iterator entry(directory.root(), failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (is_unfinished(entry->path(), directory)) continue;
    if (entry->path() != directory.run() || !fs::is_directory(entry->symlink_status())) return true;
    for (const auto& below : fs::directory_iterator(directory.run(), failure))
      if (below.path() != directory.launch_lock()) return true;
    if (failure) return true;
  }
  return failure && failure != std::errc::no_such_file_or_directory;
}

}  // namespace pgrevive::cluster
