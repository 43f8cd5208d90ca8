#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include "base/fd.h"

namespace pgrevive::restore {

// A directory and what lies below it, reached so that nothing outside of it can be: every path is
// relative, goes through real directories only and never through a symbolic link. What an operator
// names (the directory itself) may be a link; what a manifest names, or what someone planted in the
// directory, may not lead anywhere.
//
// Paths are '/'-separated and plain (is_plain_path() in base/text.h); the empty path is the
// directory itself. Functions throw system errors that name the full path. Immutable; any thread
// may call anything.
class Tree {
 public:
  // Opens an existing directory.
  explicit Tree(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  // For messages.
  std::filesystem::path full(std::string_view path) const;

  Fd open(std::string_view path, int flags, mode_t mode = 0) const;
  Fd open_directory(std::string_view path) const;
  // A new regular file; whatever had that name before is unlinked first (and not written to: it may
  // have other names elsewhere).
  Fd create(std::string_view path) const;

  // Of the entry itself, not of what a link points to. False if there is none.
  bool stat(std::string_view path, struct stat& result) const;
  // True if it made it, false if a directory was there.
  bool make_directory(std::string_view path, mode_t mode) const;
  void make_link(std::string_view path, const std::string& destination) const;
  std::string read_link(std::string_view path) const;
  void set_link_owner(std::string_view path, uid_t user, gid_t group) const;
  void unlink(std::string_view path) const;  // nothing there is fine
  // Removes whatever is there, a directory with all it holds; nothing there is fine.
  void remove(std::string_view path) const;
  void rename(std::string_view from, std::string_view to) const;
  void fsync_directory(std::string_view path) const;

  // Names in a directory, in order. A directory that does not exist is empty.
  std::vector<std::string> list(std::string_view path) const;

  // Walks to the path one directory at a time instead of leaving that to the kernel (openat2, Linux
  // 5.6); what open() does where the kernel is older or a sandbox forbids the call.
  Fd open_stepwise(std::string_view path, int flags, mode_t mode = 0) const;

 private:
  struct Parent {
    Fd fd;
    std::string name;
  };
  Parent parent_of(std::string_view path) const;
  [[noreturn]] void fail(const char* what, std::string_view path) const;

  std::filesystem::path root_;
  Fd fd_;
};

}  // namespace pgrevive::restore
