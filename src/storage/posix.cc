#include "storage/posix.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

// From here on telling the kernel to read further ahead is worth the call.
constexpr std::uint64_t kSequentialBytes = 1 << 20;

// Absence in all its forms. ENOTDIR: "a/b" where "a" is a file, which on S3 is plain absence too.
bool is_absence(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

struct File {
  Fd fd;
  struct stat status {};
};

// Immutable.
class PosixStorage : public Storage {
 public:
  explicit PosixStorage(const fs::path& root) : root_(root.lexically_normal()) {
    if (!root_.has_filename() && root_.has_relative_path()) root_ = root_.parent_path();
  }

  std::string describe(const std::string& path) const override { return full(path).string(); }

  std::optional<std::uint64_t> stat(const std::string& path) const override {
    // O_PATH asks for no permission on the file itself, like stat(2).
    const auto file = open_inside(path, O_PATH);
    if (!file || !S_ISREG(file->status.st_mode)) return {};
    return static_cast<std::uint64_t>(file->status.st_size);
  }

  std::vector<Entry> list(const std::string& directory) const override;
  void read(const std::string& path, std::optional<Range> range, Sink& sink,
            std::stop_token stop) const override;

  // What is read should still be in the processor's cache when it is used, and few readers are
  // enough to keep a disk busy: the kernel reads ahead of them.
  Advice advice() const override { return {.request = 1u << 20, .requests = 4}; }

 private:
  fs::path full(const std::string& path) const { return path.empty() ? root_ : root_ / path; }

  // Opens what `path` names, links resolved, and makes sure that it lies inside the root. Empty if
  // there is nothing. The check is on what was opened, so nobody can swap a link in between.
  std::optional<File> open_inside(const std::string& path, int flags) const;

  fs::path root_;
};

std::optional<File> PosixStorage::open_inside(const std::string& path, int flags) const {
  const fs::path relative(path);
  if (relative.is_absolute() ||
      std::ranges::any_of(relative, [](const fs::path& part) { return part == ".."; })) {
    throw Error(ErrorKind::denied, fmt::format("path '{}' leads out of the repository {}",
                                               printable(path), root_.string()));
  }
  const fs::path name = full(path);
  File file;
  do {
    // Non-blocking for the named pipe that someone left there; regular files do not care.
    file.fd = Fd(::open(name.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  } while (!file.fd && errno == EINTR);
  if (!file.fd) {
    if (is_absence(errno)) return {};
    throw system_error(errno, "cannot open " + name.string());
  }
  if (::fstat(file.fd.get(), &file.status) != 0) {
    throw system_error(errno, "cannot look at " + name.string());
  }
  std::error_code error;
  const fs::path real = fs::read_symlink(fmt::format("/proc/self/fd/{}", file.fd.get()), error);
  if (error) throw system_error(error.value(), "cannot resolve " + name.string());
  if (real != name && !lies_in(real, fs::canonical(root_, error))) {
    throw Error(ErrorKind::denied, fmt::format("{} is a symbolic link that leads out of the "
                                               "repository, to {}",
                                               name.string(), real.string()))
        .with_hint(
            "pgBackRest makes no such links; if the files were moved, name the directory "
            "they lie in as the repository path");
  }
  return file;
}

std::vector<Entry> PosixStorage::list(const std::string& directory) const {
  auto opened = open_inside(directory, O_RDONLY | O_DIRECTORY);
  if (!opened) return {};
  const std::string name = full(directory).string();
  const Directory handle(::fdopendir(opened->fd.get()));
  if (!handle) throw system_error(errno, "cannot list " + name);
  const int fd = opened->fd.release();  // closedir() closes it

  std::vector<Entry> entries;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(handle.get());
    if (found == nullptr) {
      if (errno != 0) throw system_error(errno, "cannot list " + name);
      break;
    }
    const std::string_view entry_name = found->d_name;
    if (entry_name == "." || entry_name == "..") continue;

    struct stat status {};
    if (::fstatat(fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (is_absence(errno)) continue;  // removed since: `pgbackrest expire` may run at any time
      throw system_error(errno, fmt::format("cannot look at {}/{}", name, entry_name));
    }
    if (S_ISLNK(status.st_mode)) {
      const auto target = open_inside(
          directory.empty() ? std::string(entry_name) : fmt::format("{}/{}", directory, entry_name),
          O_PATH);
      if (!target) continue;  // leads nowhere, so there is nothing
      status = target->status;
    }
    if (S_ISDIR(status.st_mode)) {
      entries.push_back({.name = std::string(entry_name), .directory = true});
    } else if (S_ISREG(status.st_mode)) {
      entries.push_back({.name = std::string(entry_name),
                         .size = static_cast<std::uint64_t>(status.st_size),
                         .modified = status.st_mtim.tv_sec});
    }
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

void PosixStorage::read(const std::string& path, std::optional<Range> range, Sink& sink,
                        std::stop_token stop) const {
  const std::string name = describe(path);
  const auto file = open_inside(path, O_RDONLY);
  if (!file) throw Error(ErrorKind::not_found, name + " does not exist");
  if (!S_ISREG(file->status.st_mode)) throw Error(ErrorKind::not_found, name + " is not a file");

  const auto size = static_cast<std::uint64_t>(file->status.st_size);
  const Range part = range.value_or(Range{.offset = 0, .length = size});
  if (part.offset > size || part.length > size - part.offset) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{} has {} bytes and ends before the {} bytes at offset {} do", name,
                            size, part.length, part.offset));
  }
  const int fd = file->fd.get();
  if (part.length >= kSequentialBytes) {
    ::posix_fadvise(fd, static_cast<off_t>(part.offset), static_cast<off_t>(part.length),
                    POSIX_FADV_SEQUENTIAL);
  }
  const std::size_t buffer_bytes =
      static_cast<std::size_t>(std::min<std::uint64_t>(part.length, kReadBytes));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  std::uint64_t offset = part.offset;
  const std::uint64_t end = part.offset + part.length;
  while (offset < end) {
    if (stop.stop_requested())
      throw Error(ErrorKind::cancelled, "reading " + name + " was stopped");
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, buffer_bytes));
    const ssize_t got = ::pread(fd, buffer.get(), most, static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, fmt::format("cannot read {} at offset {}", name, offset));
    }
    if (got == 0) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{} became shorter while it was being read: it ends at offset {}",
                              name, offset));
    }
    sink.write({buffer.get(), static_cast<std::size_t>(got)});
    offset += static_cast<std::uint64_t>(got);
  }
}

}  // namespace

std::unique_ptr<Storage> open_posix(const fs::path& root) {
  if (!root.is_absolute()) {
    throw Error(ErrorKind::usage,
                fmt::format("repository path '{}' is not absolute", printable(root.string())));
  }
  return std::make_unique<PosixStorage>(root);
}

}  // namespace pgrevive::storage
