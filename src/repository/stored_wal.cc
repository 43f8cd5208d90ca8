#include "repository/stored_wal.h"

#include <map>
#include <set>

#include "repository/layout.h"

namespace pgrevive::repository {

namespace {

constexpr std::size_t kSegmentDigits = 24;
constexpr std::size_t kDirectoryDigits = 16;

}  // namespace

std::optional<std::uint64_t> stored_wal(const Repository& repository, const WalArchive& archive,
                                        const std::vector<std::string>& names) {
  std::set<std::string> directories;
  for (const auto& name : names) directories.insert(name.substr(0, kDirectoryDigits));
  std::map<std::string, std::uint64_t> stored;
  for (const auto& archive_id : archive.archive_ids()) {
    for (const auto& directory : directories) {
      const auto path = layout::wal_directory(repository.stanza(), archive_id, directory);
      for (const auto& entry : repository.storage().list(path)) {
        // "NAME-SHA1.zst"; a ".partial" is none.
        if (!entry.directory && entry.name.find('-') == kSegmentDigits)
          stored.emplace(entry.name.substr(0, kSegmentDigits), entry.size);
      }
    }
  }
  std::uint64_t bytes = 0;
  for (const auto& name : names) {
    const auto found = stored.find(name);
    if (found == stored.end()) return {};
    bytes += found->second;
  }
  return bytes;
}

}  // namespace pgrevive::repository
