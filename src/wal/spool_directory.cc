#include "wal/spool_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive::wal {

namespace {

std::filesystem::path wal_directory(const std::filesystem::path& data_directory) {
  std::error_code ignored;
  // Before PostgreSQL 10 it was called pg_xlog.
  auto path = data_directory / "pg_wal";
  return std::filesystem::is_directory(path, ignored) ? path : data_directory / "pg_xlog";
}

void check_owner(const std::filesystem::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    throw system_error(errno, "cannot look at " + path.string());
  if (about.st_uid == ::geteuid()) return;
  throw Error(ErrorKind::denied, path.string() + " belongs to another user")
      .with_hint("run this as the user that the server runs as");
}

}  // namespace

bool in_recovery(const std::filesystem::path& data_directory) {
  std::error_code ignored;
  return std::ranges::any_of(
      std::initializer_list<const char*>{"recovery.signal", "standby.signal", "recovery.conf",
                                         "backup_label"},
      [&](const char* name) { return std::filesystem::exists(data_directory / name, ignored); });
}

SpoolDirectory::SpoolDirectory(const std::filesystem::path& data_directory)
    : root_(wal_directory(data_directory) / spool::kDirectory) {
  check_owner(root_.parent_path());
  make_directories(root_, 0700);
  lock_ = FileLock::try_acquire(root_ / spool::kLock);
  if (!lock_) {
    throw Error(ErrorKind::busy, "another prefetcher already works for " + data_directory.string());
  }
  for (const auto& path : entries_of(root_))
    if (path.filename() != spool::kLock) remove_tree(path);
  make_directories(root_ / "kept", 0700);
  directory_ = open_file(root_, O_RDONLY | O_DIRECTORY);
  watch_ = Fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch_) throw system_error(errno, "cannot watch " + root_.string());
  listen();
}

SpoolDirectory::~SpoolDirectory() {
  try {
    remove_tree(root_);
  } catch (const Error&) {
    // The next prefetcher empties it.
  }
}

void SpoolDirectory::listen() {
  ::unlinkat(directory_.get(), spool::kSocket, 0);
  socket_ = Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = spool::socket_path(directory_.get());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (!socket_ ||
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_.get(), 16) != 0) {
    throw system_error(errno, "cannot listen on " + (root_ / spool::kSocket).string());
  }
}

void SpoolDirectory::mend_socket() {
  if (::faccessat(directory_.get(), spool::kSocket, F_OK, 0) != 0) listen();
}

void SpoolDirectory::open(const spool::Key& key) {
  const auto name = key.text();
  make_directories(root_ / name, 0700);
  if (::inotify_add_watch(watch_.get(), (root_ / name).c_str(), IN_MOVED_FROM) < 0)
    throw system_error(errno, "cannot watch " + (root_ / name).string());
  key_ = name;
}

std::optional<Fd> SpoolDirectory::accept() const {
  Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client) return {};
  return client;
}

std::vector<std::string> SpoolDirectory::taken() const {
  std::vector<std::string> names;
  alignas(inotify_event) std::array<char, 16384> buffer{};
  for (;;) {
    const auto size = ::read(watch_.get(), buffer.data(), buffer.size());
    if (size <= 0) return names;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      if (event.len > 0 && (event.mask & IN_MOVED_FROM) != 0)
        names.emplace_back(buffer.data() + at + sizeof event);
      at += sizeof event + event.len;
    }
  }
}

}  // namespace pgrevive::wal
