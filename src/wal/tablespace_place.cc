#include "wal/tablespace_place.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"

namespace pgrevive::wal {

namespace {

bool is_plain(const std::filesystem::path& path) {
  return path.is_absolute() && path == path.lexically_normal() && path.has_filename();
}

bool is_there(const std::filesystem::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

// Whose directory `place`, of which there is no more than `parent`, would be made in; empty:
// nobody's.
std::string belongs_to_others(const std::filesystem::path& place,
                              const std::filesystem::path& parent,
                              const std::vector<std::filesystem::path>& keep_out) {
  std::error_code error;
  for (const auto& directory : keep_out) {
    const auto real = std::filesystem::weakly_canonical(directory, error);
    if (error || lies_in(place, real)) return "it would lie in " + directory.string();
    if (lies_in(real, place)) return directory.string() + " would lie in it";
  }
  for (auto above = parent;; above = above.parent_path()) {
    for (const char* mark : {"PG_VERSION", "pgrevive.json"})
      if (is_there(above / mark)) return above.string() + " is a cluster's (" + mark + ")";
    if (above == above.parent_path()) return "";
  }
}

// Below a directory that exists, one in the other. Removes all again where one fails.
class Making {
 public:
  explicit Making(std::filesystem::path parent)
      : path_(std::move(parent)), fd_(::open(path_.c_str(), O_DIRECTORY | O_CLOEXEC)) {
    if (!fd_) error_ = errno;
  }

  bool make(const std::filesystem::path& name) {
    if (error_ != 0) return false;
    path_ /= name;
    if (::mkdirat(fd_.get(), name.c_str(), 0700) != 0) return fail();
    made_.push_back(path_);
    if (::fsync(fd_.get()) != 0) return fail();
    Fd next(::openat(fd_.get(), name.c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return fail();
    fd_ = std::move(next);
    return true;
  }

  MadePlace result() {
    if (error_ == 0) return {.directories = std::move(made_), .obstacle = {}};
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) ::rmdir(path->c_str());
    return {.directories = {},
            .obstacle = path_.string() + ": " + std::generic_category().message(error_)};
  }

 private:
  bool fail() {
    error_ = errno;
    return false;
  }

  std::filesystem::path path_;
  Fd fd_;
  std::vector<std::filesystem::path> made_;
  int error_ = 0;
};

}  // namespace

MadePlace make_place(const std::filesystem::path& place,
                     const std::vector<std::filesystem::path>& keep_out) {
  const auto refused = [](std::string why) {
    return MadePlace{.directories = {}, .obstacle = std::move(why)};
  };
  if (!is_plain(place)) return refused("the path is not a plain one");
  if (is_there(place)) return {};
  auto parent = place.parent_path();
  std::vector<std::filesystem::path> missing{place.filename()};
  for (; !is_there(parent); parent = parent.parent_path()) missing.push_back(parent.filename());
  std::error_code error;
  const auto real = std::filesystem::canonical(parent, error);
  if (error) return refused(parent.string() + ": " + error.message());
  auto whole = real;
  for (auto name = missing.rbegin(); name != missing.rend(); ++name) whole /= *name;
  if (auto whose = belongs_to_others(whole, real, keep_out); !whose.empty()) return refused(whose);
  if (::geteuid() == 0) return refused("root makes no directory that WAL names");
  Making making(real);
  for (auto name = missing.rbegin(); name != missing.rend(); ++name)
    if (!making.make(*name)) break;
  auto result = making.result();
  // By the path that the server has.
  auto path = parent;
  for (auto& made : result.directories) made = path /= made.filename();
  return result;
}

}  // namespace pgrevive::wal
