#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fd.h"

// Files of the local file system. Every function throws Error{system} (or not_found, denied) that
// names the path. Any thread may call anything.
namespace pgrevive {

// open(2) with O_CLOEXEC; retries EINTR.
Fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);

std::string read_file(const std::filesystem::path& path);
// Empty if the file does not exist.
std::optional<std::string> read_file_if_exists(const std::filesystem::path& path);

// Writes all bytes, however many calls it takes. A full disk is Error{system} with a hint.
void write_all(int fd, ByteView bytes, const std::filesystem::path& path_for_messages);

// Replaces `path` so that a reader sees the old text or the new one, also after a power cut: a
// temporary file in the same directory, fsync, rename, fsync of the directory.
void write_file_atomic(const std::filesystem::path& path, std::string_view text,
                       mode_t mode = 0600);

// The same without waiting for the disk: for what changes all the time and nobody needs after a
// power cut, when it may be empty. By one writer at a time: the temporary file is `path`.new.
void replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0600);

void fsync_path(const std::filesystem::path& path);  // a file or a directory

// mkdir -p where the last directory gets `mode` (exactly, whatever the umask says) and missing ones
// above it get 0755. A directory that exists is left as it is.
void make_directories(const std::filesystem::path& path, mode_t mode = 0700);

// What lies in a directory, sorted.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory);
// Empty if there is no such directory. One that cannot be read is no empty one.
std::vector<std::filesystem::path> entries_if_exists(const std::filesystem::path& directory);

// Removes the tree below and including `path` without ever following a symbolic link and without
// leaving the file system of `path`'s parent: a mount is Error{busy}. Nothing there is fine.
void remove_tree(const std::filesystem::path& path);

// The same of something below the directory `root`, in a place that others can change: no directory
// between the two may be a link either, whoever puts it there meanwhile. Such a one is
// Error{denied}.
void remove_below(const std::filesystem::path& root, const std::filesystem::path& path);
// rename(2) from a place below `root` to another, with the same care.
void rename_below(const std::filesystem::path& root, const std::filesystem::path& from,
                  const std::filesystem::path& to);

// A lock that ends with the process that holds it (flock). Empty if another process has it. Its
// holder may remove the file: the next one makes another.
class FileLock {
 public:
  static std::optional<FileLock> try_acquire(const std::filesystem::path& path);
  // Whether somebody holds it. Any number may ask at once and never take each other for the holder;
  // who wants to acquire it at that moment may have to try again. A file that is not there is held
  // by nobody, and is not made.
  static bool is_held(const std::filesystem::path& path);

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Absolute and without "." and "..", by its name alone; "DIR/" and "DIR" are one directory.
std::filesystem::path whole_path(const std::filesystem::path& path);

// Whether `inner` is `outer` or lies in it, by the names of two whole paths alone.
bool lies_in(const std::filesystem::path& inner, const std::filesystem::path& outer);

// Free bytes for an unprivileged writer, and what identifies the file system.
struct DiskSpace {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  dev_t device = 0;
};
// Of the nearest existing ancestor of `path`.
DiskSpace disk_space(const std::filesystem::path& path);

}  // namespace pgrevive
