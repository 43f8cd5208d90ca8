#include "cluster/anew.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/child_process.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/archiving.h"
#include "cluster/backrest_conf.h"
#include "cluster/cleanup.h"
#include "cluster/console_process.h"
#include "cluster/identity_scope.h"
#include "cluster/preflight.h"
#include "cluster/program_copy.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {
namespace {

// The segments that this cluster has pushed look like those of a source that lives.
void refuse_taken_stanza(const Settings& settings) {
  if (settings.wal_archive != WalArchiveMode::source) return;
  throw Error(ErrorKind::usage,
              "WAL_ARCHIVE=source: a cluster that archives into the source's stanza is not made "
              "anew, since its own WAL cannot be told from that of a source that lives")
      .with_hint(
          "set WAL_ARCHIVE=own; or make a cluster with another CLUSTER_NAME and other ports beside "
          "this one; or stop it, wait until the stanza was silent for WAL_ARCHIVE_SILENCE, and use "
          "cleanup and start");
}

void check_archive_is_free(const Settings& settings, const StateDirectory& directory,
                           const Marker& marker) {
  const auto archive = own_archive(settings, directory, marker.archive_suffix);
  // That one goes with the cluster.
  if (archive.type == repository::RepositoryOptions::Type::posix &&
      archive.path == directory.archive())
    return;
  check_own_archive_is_free(settings, directory, marker);
}

}  // namespace

Anew check_anew(Settings& settings, const StateDirectory& directory, const PointWatch& watch,
                Search search) {
  if (!settings.restore_from_backup)
    throw Error(ErrorKind::usage, "this cluster was not made of a backup");
  refuse_taken_stanza(settings);
  const auto owner = find_owner();
  auto marker = make_marker(settings.cluster_name, directory, owner, unix_milliseconds());
  check_archive_is_free(settings, directory, marker);
  check_directory(settings, directory, owner);
  // Volumes are mounts, and are emptied in their places (containers::make_way).
  if (!settings.containers) check_removable(directory, CleanupOf::what_was_made);
  auto chosen = preflight_anew(settings, directory, marker, owner, watch, search);
  return {.marker = std::move(marker), .chosen = std::move(chosen)};
}

ChangeLock lock_anew(const Settings& settings, const StateDirectory& directory) {
  const auto owner = find_owner();
  check_directory(settings, directory, owner);
  const IdentityScope scope(owner);
  return ChangeLock::take(directory, kStartAnew);
}

Cleanup clear_for_anew(const Settings& settings, const StateDirectory& directory,
                       const Marker& marker, const ChangeLock& held) {
  return clear(directory, held, [&] {
    const IdentityScope scope(find_owner());
    write_file_atomic(directory.settings(), to_json(settings));
    marker.save(directory);
  });
}

void note_failed_start(const Settings& settings, const StateDirectory& directory,
                       const Error& error) {
  const auto now = unix_milliseconds();
  const IdentityScope scope(find_owner());
  for (const auto& path : {directory.run(), directory.supervisor_log().parent_path()})
    make_directories(path, 0700);
  const auto log = directory.supervisor_log();
  const auto line = format_time(std::chrono::system_clock::now()) + " " + error.text() + "\n";
  const auto fd = open_file(log, O_WRONLY | O_CREAT | O_APPEND, 0640);
  write_all(fd.get(), as_bytes(line), log);
  StatusBoard(directory, {.cluster_name = settings.cluster_name,
                          .phase = Phase::failed,
                          .phases = {{.phase = Phase::failed, .began_ms = now}},
                          .error = error.text(),
                          .exit_code = static_cast<int>(error.kind())})
      .flush();
}

void bring_console_back(const Settings& settings, const StateDirectory& directory,
                        const std::filesystem::path& own_program) {
  const auto console = console_program(directory);
  if (settings.console_port == 0 || settings.containers || find_side_process(console)) return;
  const auto owner = find_owner();
  const auto bytes = read_file(own_program);
  auto command = console_command(directory);
  command.detach = true;
  if (::geteuid() != owner.uid) command.identity = owner;
  {
    const IdentityScope scope(owner);
    for (const auto& path : {directory.run(), directory.secrets(), command.log.parent_path()})
      make_directories(path, 0700);
    copy_program(bytes, directory.program());
  }
  auto child = ChildProcess::start(command);
  {
    const IdentityScope scope(owner);
    write_file_atomic(console.pid_file, std::to_string(child.pid()));
  }
  child.release();
}

}  // namespace pgrevive::cluster
