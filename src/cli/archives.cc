#include "cli/archives.h"

#include <fmt/format.h>

#include "repository/open.h"

namespace pgrevive::cli {

std::vector<const repository::WalArchive*> OpenArchives::all() const {
  std::vector<const repository::WalArchive*> result;
  for (const auto& archive : archives) result.push_back(archive.get());
  return result;
}

OpenArchives open_archives(const Source& source, const postgres::ControlFile& control) {
  OpenArchives open;
  for (const IndexedRepository& entry : source.repositories) {
    try {
      open.repositories.push_back(
          std::make_unique<repository::Repository>(repository::open_repository(entry.options)));
      open.archives.push_back(std::make_unique<repository::WalArchive>(
          *open.repositories.back(), open.repositories.back()->load_archive_info(),
          control.system_id, control.version));
    } catch (Error& error) {
      error.add_frame(fmt::format("opening {}", entry.options.describe()));
      if (!open.trouble) open.trouble = error;
    }
  }
  if (open.archives.empty()) throw *open.trouble;
  return open;
}

}  // namespace pgrevive::cli
