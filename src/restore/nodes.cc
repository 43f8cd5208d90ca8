#include "restore/nodes.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive::restore {

Place Nodes::write_place(const repository::ManifestFile& file) const {
  const auto place = layout.place(file.name);
  if (!place || place->path.empty()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest lists the directory {} as a file", file.name));
  }
  if (place->root == 0 && place->path == kControlFile) return {0, kUnpublishedControlFile};
  return *place;
}

void set_owner_and_mode(int fd, const std::optional<Ids>& owner, mode_t mode,
                        const std::filesystem::path& path) {
  struct stat now {};
  if (::fstat(fd, &now) != 0) {
    throw system_error(errno, fmt::format("cannot look at {}", path.string()));
  }
  bool changed_owner = false;
  if (owner && (now.st_uid != owner->user || now.st_gid != owner->group)) {
    if (::fchown(fd, owner->user, owner->group) != 0) {
      throw system_error(errno, fmt::format("cannot change the owner of {}", path.string()));
    }
    changed_owner = true;
  }
  // A change of owner may take bits away.
  if (changed_owner || (now.st_mode & 07777) != mode) {
    if (::fchmod(fd, mode) != 0) {
      throw system_error(errno, fmt::format("cannot change the mode of {}", path.string()));
    }
  }
}

void set_modified(int fd, std::int64_t seconds, const std::filesystem::path& path) {
  timespec times[2]{};
  times[0].tv_sec = times[1].tv_sec = static_cast<time_t>(seconds);
  if (::futimens(fd, times) != 0) {
    throw system_error(errno, fmt::format("cannot set the time of {}", path.string()));
  }
}

}  // namespace pgrevive::restore
