#include "cluster/program_copy.h"

#include <algorithm>
#include <string_view>
#include <system_error>

#include <sys/stat.h>

#include "base/file.h"

namespace pgrevive::cluster {
namespace {

constexpr std::string_view kDrawn = "XXXXXX";

bool holds_programs_only(const std::filesystem::path& place, const StateDirectory& directory) {
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(place, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const auto name = entry->path().filename().string();
    const bool ours = std::ranges::any_of(
        std::vector{directory.program(), directory.archive_get()}, [&](const auto& program) {
          const auto known = program.filename().string();
          // Or one that was being written.
          return name == known || name.starts_with("." + known + ".tmp.");
        });
    if (!ours || !std::filesystem::is_regular_file(entry->symlink_status(failure))) return false;
  }
  return !failure;
}

}  // namespace

void copy_program(const std::string& bytes, const std::filesystem::path& to) {
  make_directories(to.parent_path());
  if (read_file_if_exists(to) != bytes) write_file_atomic(to, bytes, 0755);
}

std::string beside_cluster(const StateDirectory& directory) {
  return directory.root().string() + ".programs-" + std::string(kDrawn);
}

std::vector<std::filesystem::path> programs_beside(const StateDirectory& directory, uid_t owner) {
  const std::filesystem::path pattern = beside_cluster(directory);
  const auto name = pattern.filename().string();
  const auto begin = name.substr(0, name.size() - kDrawn.size());
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(pattern.parent_path(), ignored)) {
    const auto other = entry.path().filename().string();
    struct stat info {};
    // Another cluster may have such a name, and holds more.
    if (other.size() == name.size() && other.starts_with(begin) &&
        ::lstat(entry.path().c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
        info.st_uid == owner && holds_programs_only(entry.path(), directory))
      found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace pgrevive::cluster
