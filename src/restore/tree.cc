#include "restore/tree.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::restore {

namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Set once the kernel has refused openat2, so that it is not asked again for every file.
std::atomic<bool> openat2_missing{false};

int openat2_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return static_cast<int>(fd);
}

int openat_retry(int directory, const std::string& path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::openat(directory, path.c_str(), flags, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::vector<std::string> names_in(Fd fd, const std::filesystem::path& path_for_messages) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (!directory) {
    throw system_error(errno, fmt::format("cannot list {}", path_for_messages.string()));
  }
  fd.release();  // closedir closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) {
    throw system_error(errno, fmt::format("cannot list {}", path_for_messages.string()));
  }
  std::ranges::sort(names);
  return names;
}

void remove_at(int parent, const std::string& name, const std::filesystem::path& path) {
  struct stat entry {};
  if (::fstatat(parent, name.c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return;
    throw system_error(errno, fmt::format("cannot look at {}", path.string()));
  }
  const bool directory = S_ISDIR(entry.st_mode);
  if (directory) {
    Fd fd(openat_retry(parent, name, kDirectoryFlags, 0));
    if (!fd) throw system_error(errno, fmt::format("cannot open {}", path.string()));
    const int inner = fd.get();
    Fd listing(::fcntl(inner, F_DUPFD_CLOEXEC, 0));
    if (!listing) throw system_error(errno, fmt::format("cannot open {}", path.string()));
    for (const auto& child : names_in(std::move(listing), path)) {
      remove_at(inner, child, path / child);
    }
  }
  if (::unlinkat(parent, name.c_str(), directory ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
    throw system_error(errno, fmt::format("cannot remove {}", path.string()));
  }
}

}  // namespace

Tree::Tree(std::filesystem::path root)
    : root_(std::move(root)), fd_(open_file(root_, O_RDONLY | O_DIRECTORY)) {}

std::filesystem::path Tree::full(std::string_view path) const {
  return path.empty() ? root_ : root_ / path;
}

void Tree::fail(const char* what, std::string_view path) const {
  const int error = errno;
  if (error == ELOOP || error == ENOTDIR || error == EXDEV) {
    throw Error(ErrorKind::system,
                fmt::format("cannot {} {}: something on the way is not a directory", what,
                            full(path).string()))
        .with_hint("a symbolic link inside a data directory is not followed; remove it");
  }
  throw system_error(error, fmt::format("cannot {} {}", what, full(path).string()));
}

Fd Tree::open(std::string_view path, int flags, mode_t mode) const {
  if (!is_plain_path(path)) {
    throw Error(ErrorKind::corrupt, fmt::format("path leads out of {}: {}", root_.string(), path));
  }
  flags |= O_CLOEXEC | O_NOFOLLOW;
  if (!openat2_missing.load(std::memory_order_relaxed)) {
    Fd fd(openat2_beneath(fd_.get(), std::string(path), flags, mode));
    if (fd) return fd;
    if (errno != ENOSYS && errno != EPERM) fail("open", path);
    // EPERM is also what a sandbox that does not know the call answers; the walk below gives the
    // final word either way.
    if (errno == ENOSYS) openat2_missing = true;
  }
  return open_stepwise(path, flags, mode);
}

Fd Tree::open_stepwise(std::string_view path, int flags, mode_t mode) const {
  const auto parent = parent_of(path);
  Fd fd(openat_retry(parent.fd ? parent.fd.get() : fd_.get(), parent.name,
                     flags | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) fail("open", path);
  return fd;
}

Fd Tree::open_directory(std::string_view path) const {
  if (!path.empty()) return open(path, O_RDONLY | O_DIRECTORY);
  Fd fd(openat_retry(fd_.get(), ".", kDirectoryFlags, 0));
  if (!fd) fail("open", path);
  return fd;
}

// The open directory that holds the last component; no descriptor where that is the root itself.
Tree::Parent Tree::parent_of(std::string_view path) const {
  if (!is_plain_path(path)) {
    throw Error(ErrorKind::corrupt, fmt::format("path leads out of {}: {}", root_.string(), path));
  }
  Parent parent;
  std::string_view rest = path;
  for (auto slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    const std::string component(rest.substr(0, slash));
    Fd next(openat_retry(parent.fd ? parent.fd.get() : fd_.get(), component, kDirectoryFlags, 0));
    if (!next) fail("open", path);
    parent.fd = std::move(next);
    rest.remove_prefix(slash + 1);
  }
  parent.name = std::string(rest);
  return parent;
}

Fd Tree::create(std::string_view path) const {
  constexpr int flags = O_RDWR | O_CREAT | O_EXCL;
  try {
    return open(path, flags, 0600);
  } catch (const Error&) {
    struct stat entry {};
    if (!stat(path, entry)) throw;
    if (S_ISDIR(entry.st_mode)) {
      throw Error(ErrorKind::system, fmt::format("cannot create {}: a directory is in its place",
                                                 full(path).string()));
    }
  }
  unlink(path);
  return open(path, flags, 0600);
}

bool Tree::stat(std::string_view path, struct stat& result) const {
  if (path.empty()) {
    if (::fstat(fd_.get(), &result) != 0) fail("look at", path);
    return true;
  }
  const auto parent = parent_of(path);
  if (::fstatat(parent.fd ? parent.fd.get() : fd_.get(), parent.name.c_str(), &result,
                AT_SYMLINK_NOFOLLOW) == 0) {
    return true;
  }
  if (errno != ENOENT) fail("look at", path);
  return false;
}

bool Tree::make_directory(std::string_view path, mode_t mode) const {
  const auto parent = parent_of(path);
  if (::mkdirat(parent.fd ? parent.fd.get() : fd_.get(), parent.name.c_str(), mode) == 0) {
    return true;
  }
  if (errno != EEXIST) fail("make the directory", path);
  return false;
}

void Tree::make_link(std::string_view path, const std::string& destination) const {
  const auto parent = parent_of(path);
  if (::symlinkat(destination.c_str(), parent.fd ? parent.fd.get() : fd_.get(),
                  parent.name.c_str()) != 0) {
    fail("make the link", path);
  }
}

std::string Tree::read_link(std::string_view path) const {
  const auto parent = parent_of(path);
  std::string destination(4096, '\0');
  const auto length = ::readlinkat(parent.fd ? parent.fd.get() : fd_.get(), parent.name.c_str(),
                                   destination.data(), destination.size());
  if (length < 0) fail("read the link", path);
  destination.resize(static_cast<std::size_t>(length));
  return destination;
}

void Tree::set_link_owner(std::string_view path, uid_t user, gid_t group) const {
  const auto parent = parent_of(path);
  if (::fchownat(parent.fd ? parent.fd.get() : fd_.get(), parent.name.c_str(), user, group,
                 AT_SYMLINK_NOFOLLOW) != 0) {
    fail("change the owner of", path);
  }
}

void Tree::unlink(std::string_view path) const {
  const auto parent = parent_of(path);
  if (::unlinkat(parent.fd ? parent.fd.get() : fd_.get(), parent.name.c_str(), 0) != 0 &&
      errno != ENOENT) {
    fail("remove", path);
  }
}

void Tree::remove(std::string_view path) const {
  const auto parent = parent_of(path);
  remove_at(parent.fd ? parent.fd.get() : fd_.get(), parent.name, full(path));
}

void Tree::rename(std::string_view from, std::string_view to) const {
  const auto source = parent_of(from);
  const auto target = parent_of(to);
  if (::renameat(source.fd ? source.fd.get() : fd_.get(), source.name.c_str(),
                 target.fd ? target.fd.get() : fd_.get(), target.name.c_str()) != 0) {
    fail("rename", from);
  }
}

void Tree::fsync_directory(std::string_view path) const {
  const auto fd = open_directory(path);
  if (::fsync(fd.get()) != 0) fail("sync", path);
}

std::vector<std::string> Tree::list(std::string_view path) const {
  struct stat entry {};
  if (!path.empty() && !stat(path, entry)) return {};
  return names_in(open_directory(path), full(path));
}

}  // namespace pgrevive::restore
