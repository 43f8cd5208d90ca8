#include "base/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive {
namespace {

namespace fs = std::filesystem;

// The directory that holds the entry `path`. A trailing slash does not make another entry.
fs::path parent_of(const fs::path& path) {
  const fs::path parent =
      path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

std::string name_of(const fs::path& path) {
  return (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
}

void fsync_fd(int fd, const fs::path& path) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) throw system_error(errno, "cannot sync " + path.string());
  }
}

// Removes the temporary file unless it took its final name.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

// What remove_tree has to know of a directory entry before it touches it.
struct Entry {
  bool exists = false;
  bool directory = false;
  bool mount = false;
  dev_t device = 0;
};

Entry look_at(int directory, const std::string& name, const fs::path& path) {
  struct statx found {};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (::statx(directory, name.c_str(), flags, STATX_TYPE, &found) != 0) {
    if (errno == ENOENT) return {};
    throw system_error(errno, "cannot look at " + path.string());
  }
  return {.exists = true,
          .directory = S_ISDIR(found.stx_mode),
          // A bind mount can have the device number of what is around it.
          .mount = (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0,
          .device = makedev(found.stx_dev_major, found.stx_dev_minor)};
}

std::vector<std::string> names_in(int directory, const fs::path& path) {
  // fdopendir takes the descriptor over, and the caller still needs his.
  Fd own(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
  if (!own) throw system_error(errno, "cannot list " + path.string());
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) throw system_error(errno, "cannot list " + path.string());
  own.release();

  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) throw system_error(errno, "cannot list " + path.string());
      return names;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

void remove_entry(int parent, const std::string& name, const fs::path& path, dev_t device) {
  const Entry entry = look_at(parent, name, path);
  if (!entry.exists) return;
  if (entry.mount || entry.device != device) {
    throw Error(ErrorKind::busy, path.string() + " is on another file system and was not removed")
        .with_hint("unmount it first (umount " + path.string() + ")");
  }
  if (!entry.directory) {
    if (::unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT) {
      throw system_error(errno, "cannot remove " + path.string());
    }
    return;
  }

  const Fd directory(
      ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) throw system_error(errno, "cannot open " + path.string());
  // Somebody may have put another directory in its place since the look.
  struct stat opened {};
  if (::fstat(directory.get(), &opened) != 0) {
    throw system_error(errno, "cannot look at " + path.string());
  }
  if (opened.st_dev != device) {
    throw Error(ErrorKind::busy, path.string() + " was mounted over while it was being removed");
  }

  for (const std::string& child : names_in(directory.get(), path)) {
    remove_entry(directory.get(), child, path / child, device);
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    throw system_error(errno, "cannot remove " + path.string());
  }
}

// The directory that holds the entry `path`, reached from `root` without a link; empty where there
// is none.
Fd open_parent_below(const fs::path& root, const fs::path& path) {
  const fs::path way = path.lexically_relative(root);
  const bool below = !way.empty() && way != "." && std::ranges::find(way, "..") == way.end();
  if (!below || !way.has_filename())
    throw Error(ErrorKind::internal, path.string() + " is not below " + root.string());
  Fd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  fs::path so_far = root;
  for (const auto& name : way.parent_path()) {
    if (!directory) break;
    so_far /= name;
    directory =
        Fd(::openat(directory.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory && errno == ENOTDIR)
      throw Error(ErrorKind::denied, so_far.string() + " is a link, or no directory")
          .with_hint("remove it by hand, and what it leads to if that is what you want");
  }
  if (!directory && errno != ENOENT) throw system_error(errno, "cannot open " + so_far.string());
  return directory;
}

std::string read_open_file(int fd, const fs::path& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) throw system_error(errno, "cannot look at " + path.string());

  std::string text;
  // One byte more than it should hold, so that the usual file ends without another round. Files of
  // /proc say 0.
  const std::size_t expected = about.st_size > 0 ? static_cast<std::size_t>(about.st_size) : 4095;
  text.resize(expected + 1);
  std::size_t have = 0;
  for (;;) {
    if (have == text.size()) text.resize(text.size() * 2);
    const ssize_t got = ::read(fd, text.data() + have, text.size() - have);
    if (got == 0) break;
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw system_error(errno, "cannot read " + path.string());
    }
  }
  text.resize(have);
  return text;
}

}  // namespace

Fd open_file(const fs::path& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) throw system_error(errno, "cannot open " + path.string());
  }
}

std::string read_file(const fs::path& path) {
  const Fd fd = open_file(path, O_RDONLY);
  return read_open_file(fd.get(), path);
}

std::optional<std::string> read_file_if_exists(const fs::path& path) {
  for (;;) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd) return read_open_file(fd.get(), path);
    if (errno == ENOENT) return {};
    if (errno != EINTR) throw system_error(errno, "cannot open " + path.string());
  }
}

void write_all(int fd, ByteView bytes, const fs::path& path_for_messages) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw system_error(errno, "cannot write " + path_for_messages.string());
    }
  }
}

void write_file_atomic(const fs::path& path, std::string_view text, mode_t mode) {
  const fs::path parent = parent_of(path);
  std::string name = (parent / ("." + name_of(path) + ".tmp.XXXXXX")).string();
  const Fd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) throw system_error(errno, "cannot create a file in " + parent.string());
  Temporary temporary(std::move(name));

  if (::fchmod(fd.get(), mode) != 0) {
    throw system_error(errno, "cannot set the mode of " + temporary.path());
  }
  write_all(fd.get(), as_bytes(text), path);
  fsync_fd(fd.get(), path);
  if (::rename(temporary.path().c_str(), path.c_str()) != 0) {
    throw system_error(errno, "cannot replace " + path.string());
  }
  temporary.keep();
  fsync_path(parent);
}

void replace_file(const fs::path& path, std::string_view text, mode_t mode) {
  fs::path temporary = path;
  temporary += ".new";
  {
    const auto file = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(file.get(), as_bytes(text), path);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    throw system_error(errno, "cannot replace " + path.string());
}

void fsync_path(const fs::path& path) {
  const Fd fd = open_file(path, O_RDONLY);
  fsync_fd(fd.get(), path);
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  if (error) throw system_error(error.value(), "cannot look into " + directory.string());
  std::ranges::sort(entries);
  return entries;
}

std::vector<fs::path> entries_if_exists(const fs::path& directory) {
  std::error_code ignored;
  const auto type = fs::status(directory, ignored).type();
  // None: it cannot be told what it is.
  const bool may_be_one = type == fs::file_type::directory || type == fs::file_type::none;
  return may_be_one ? entries_of(directory) : std::vector<fs::path>();
}

void make_directories(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    const int error = errno;
    if (error == ENOENT && parent_of(path) != path) {
      make_directories(parent_of(path), 0777 & ~(S_IWGRP | S_IWOTH));
      if (::mkdir(path.c_str(), mode) == 0) {
        // falls through to the exact mode below
      } else if (errno != EEXIST) {
        throw system_error(errno, "cannot create directory " + path.string());
      } else {
        return;
      }
    } else if (error == EEXIST) {
      struct stat about {};
      if (::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return;
      throw Error(ErrorKind::system, path.string() + " exists and is not a directory");
    } else {
      throw system_error(error, "cannot create directory " + path.string());
    }
  }
  const Fd fd = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (::fchmod(fd.get(), mode) != 0) {
    throw system_error(errno, "cannot set the mode of " + path.string());
  }
}

void remove_tree(const fs::path& path) {
  const std::string name = name_of(path);
  if (name.empty() || name == "." || name == "..") {
    throw Error(ErrorKind::internal, "remove_tree was asked to remove '" + path.string() + "'");
  }
  const fs::path parent_path = parent_of(path);
  const Fd parent(::open(parent_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) {
    if (errno == ENOENT) return;
    throw system_error(errno, "cannot open " + parent_path.string());
  }
  struct stat about {};
  if (::fstat(parent.get(), &about) != 0) {
    throw system_error(errno, "cannot look at " + parent_path.string());
  }
  remove_entry(parent.get(), name, path, about.st_dev);
}

void remove_below(const fs::path& root, const fs::path& path) {
  const Fd parent = open_parent_below(root, path);
  if (!parent) return;
  struct stat about {};
  if (::stat(root.c_str(), &about) != 0)
    throw system_error(errno, "cannot look at " + root.string());
  remove_entry(parent.get(), path.filename(), path, about.st_dev);
}

void rename_below(const fs::path& root, const fs::path& from, const fs::path& to) {
  const Fd source = open_parent_below(root, from);
  const Fd target = open_parent_below(root, to);
  if (!source || !target ||
      ::renameat(source.get(), from.filename().c_str(), target.get(), to.filename().c_str()) != 0)
    throw system_error(source && target ? errno : ENOENT,
                       "cannot rename " + from.string() + " to " + to.string());
}

namespace {

bool try_lock(const Fd& fd, int kind, const fs::path& path) {
  while (::flock(fd.get(), kind | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) throw system_error(errno, "cannot lock " + path.string());
  }
  return true;
}

}  // namespace

std::optional<FileLock> FileLock::try_acquire(const fs::path& path) {
  for (;;) {
    Fd fd = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!try_lock(fd, LOCK_EX, path)) return {};
    struct stat locked {
    }, there{};
    if (::fstat(fd.get(), &locked) != 0)
      throw system_error(errno, "cannot look at " + path.string());
    // Whoever had it may have removed the file while we came to it.
    if (::lstat(path.c_str(), &there) == 0 && there.st_ino == locked.st_ino &&
        there.st_dev == locked.st_dev)
      return FileLock(std::move(fd));
  }
}

bool FileLock::is_held(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  const Fd fd = open_file(path, O_RDONLY | O_NOFOLLOW);
  return !try_lock(fd, LOCK_SH, path);
}

DiskSpace disk_space(const fs::path& path) {
  fs::path existing = fs::absolute(path);
  struct stat about {};
  while (::stat(existing.c_str(), &about) != 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    if (!missing || !existing.has_relative_path()) {
      throw system_error(errno, "cannot look at " + existing.string());
    }
    existing = existing.parent_path();
  }
  struct statvfs space {};
  while (::statvfs(existing.c_str(), &space) != 0) {
    if (errno != EINTR)
      throw system_error(errno, "cannot get the free space of " + existing.string());
  }
  return {.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize,
          .total_bytes = std::uint64_t{space.f_blocks} * space.f_frsize,
          .device = about.st_dev};
}

fs::path whole_path(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() || !whole.has_relative_path() ? whole : whole.parent_path();
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

}  // namespace pgrevive
