#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/anew.h"
#include "cluster/change_lock.h"
#include "cluster/cluster.h"
#include "cluster/identity_scope.h"
#include "cluster/leftovers.h"
#include "cluster/lost_primary.h"
#include "cluster/marker.h"
#include "cluster/preflight.h"
#include "cluster/program_copy.h"
#include "cluster/reindex.h"
#include "cluster/servers.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {
namespace {

void check_name(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 && name.front() != '.' &&
                    name.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == std::string::npos;
  if (!good)
    throw Error(ErrorKind::usage, "'" + name + "' cannot be the name of a cluster")
        .with_hint("use letters, digits, '-', '_' and '.' in CLUSTER_NAME");
}

void make_root(const StateDirectory& directory, const Identity& owner) {
  const auto& root = directory.root();
  std::vector<std::filesystem::path> parents;
  std::error_code error;
  for (auto path = std::filesystem::absolute(root); !std::filesystem::exists(path, error) && !error;
       path = path.parent_path())
    parents.push_back(path.parent_path());
  make_directories(root, 0700);
  // All that is synced in it would be lost with its name.
  for (const auto& parent : parents)
    if (::access(parent.c_str(), R_OK) == 0) fsync_path(parent);
  if (::geteuid() != owner.uid && ::lchown(root.c_str(), owner.uid, owner.gid) != 0)
    throw system_error(errno, "cannot give " + root.string() + " to " + owner.name);
}

void check_enterable(const StateDirectory& directory, const Identity& owner) {
  if (::faccessat(AT_FDCWD, directory.root().c_str(), W_OK | X_OK, AT_EACCESS) == 0) return;
  throw system_error(errno, "user " + owner.name + " cannot use " + directory.root().string())
      .with_hint("every directory above it must be enterable for " + owner.name +
                 "; choose another with PGREVIVE_HOME");
}

void make_socket_directory(const std::filesystem::path& path, const Identity& owner) {
  make_directories(path, 0700);
  struct stat info {};
  // In /tmp anybody could have made a directory of that name.
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != owner.uid ||
      (info.st_mode & 077) != 0)
    throw Error(ErrorKind::denied, path.string() + " is not a directory of " + owner.name +
                                       " alone, and the servers' sockets have to lie there")
        .with_hint("remove it, or choose a shorter PGREVIVE_HOME");
}

// What a supervisor that ended at once had to say.
[[noreturn]] void report_end(const StateDirectory& directory, const ExitStatus& end) {
  throw Error(ErrorKind::system, "the supervisor ended at once (" + end.text() +
                                     "): " + last_lines(directory.supervisor_log()))
      .with_hint("its log is " + directory.supervisor_log().string());
}

void start_supervisor(const StateDirectory& directory, const Identity& owner) {
  std::optional<Identity> identity;
  if (::geteuid() != owner.uid) identity = owner;
  auto child = ChildProcess::start({.program = directory.program(),
                                    .arguments = {"supervise", directory.root().string()},
                                    .environment = {{"HOME", owner.home.string()}},
                                    .directory = directory.root(),
                                    .log = directory.supervisor_log(),
                                    .identity = identity,
                                    .detach = true});
  // Until it has written its first status nobody could tell it from the one before it.
  for (int i = 0; i < 100; ++i) {
    const auto status = read_status(directory);
    if (status && status->pid == child.pid()) break;
    if (const auto end = child.wait_for(std::chrono::milliseconds(100)))
      report_end(directory, *end);
  }
  child.release();
}

void leave_request(const StateDirectory& directory, const Identity& owner) {
  const IdentityScope scope(owner);
  ask_for_reindex(directory);
}

// What was looked at without the lock has to be the same still.
void refuse_another(const std::optional<Marker>& seen, const StateDirectory& directory) {
  if (!seen) return;
  const auto marker = Marker::load(directory);
  if (marker && marker->created_ms == seen->created_ms) return;
  throw Error(ErrorKind::busy, "the cluster was thrown away while this start looked at it")
      .with_hint("start again, if it is to be made anew");
}

}  // namespace

void write_state(const Settings& settings, const StateDirectory& directory, const Marker& marker,
                 const Identity& owner, const std::filesystem::path& own_program) {
  const auto program = read_file(own_program);
  const auto archive_get =
      read_file_if_exists(own_program.parent_path() / directory.archive_get().filename());
  const IdentityScope scope(owner);
  marker.save(directory);
  for (const auto& path : {directory.secrets(), directory.root() / "logs"})
    make_directories(path, 0700);
  make_socket_directory(marker.socket_directory, owner);
  write_file_atomic(directory.settings(), to_json(settings));
  copy_program(program, directory.program());
  std::error_code ignored;
  // An older client does not fit this program.
  if (archive_get)
    copy_program(*archive_get, directory.archive_get());
  else
    std::filesystem::remove(directory.archive_get(), ignored);
  // The last supervisor's end is not this one's.
  std::filesystem::remove(directory.status(), ignored);
}

Launch launch(Settings& settings, const StateDirectory& directory,
              const std::filesystem::path& own_program, const PointWatch& watch, bool reindex) {
  check_name(settings.cluster_name);
  const auto owner = find_owner();
  refuse_while_thrown_away(directory);
  settings.chosen_backup.reset();
  const auto seen = check_directory(settings, directory, owner);
  if (find_supervisor(directory)) {
    // Woken, it would stop the replicas that still run, and only then say so.
    refuse_lost_primary(directory);
    if (reindex) leave_request(directory, owner);
    try_again(directory);
    return Launch::already_running;
  }
  auto marker =
      seen ? *seen : make_marker(settings.cluster_name, directory, owner, unix_milliseconds());
  try {
    preflight(settings, directory, marker, owner, watch);
  } catch (const Error&) {
    // Another start may have been faster, and its servers hold the ports.
    if (!find_supervisor(directory)) throw;
    if (reindex) leave_request(directory, owner);
    return Launch::already_running;
  }

  make_root(directory, owner);
  std::optional<ChangeLock> held;
  {
    const IdentityScope scope(owner);
    check_enterable(directory, owner);
    held = ChangeLock::take(directory, kStart);
    refuse_half_removed(directory);
    refuse_another(seen, directory);
    make_directories(directory.run(), 0700);
  }
  if (find_supervisor(directory)) {
    if (reindex) leave_request(directory, owner);
    return Launch::already_running;
  }
  // The other start's, if it wrote one before it failed.
  if (auto written = Marker::load(directory)) marker = *std::move(written);
  write_state(settings, directory, marker, owner, own_program);
  // Behind the marker: what is left without one is not known for ours.
  if (reindex) leave_request(directory, owner);
  start_supervisor(directory, owner);
  return Launch::started;
}

void launch_anew(const Settings& settings, const StateDirectory& directory, const Anew& anew,
                 ChangeLock, const std::filesystem::path& own_program, bool reindex) {
  const auto owner = find_owner();
  preflight_cleared(settings, directory, anew.chosen);
  {
    const IdentityScope scope(owner);
    make_directories(directory.run(), 0700);
  }
  write_state(settings, directory, anew.marker, owner, own_program);
  if (reindex) leave_request(directory, owner);
  start_supervisor(directory, owner);
}

void try_again(const StateDirectory& directory) {
  const auto supervisor = find_supervisor(directory);
  const auto status = read_status(directory);
  if (!status || status->phase != Phase::failed || supervisor.value_or(0) == 0) return;
  ::kill(*supervisor, SIGHUP);
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto later = read_status(directory);
    if (!later || later->phase != Phase::failed) return;
  }
}

bool supervisor_running(const StateDirectory& directory) {
  return find_supervisor(directory).has_value();
}

}  // namespace pgrevive::cluster
