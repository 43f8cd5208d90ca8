#include "cluster/archiving.h"

#include <chrono>
#include <filesystem>
#include <optional>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/backrest_conf.h"
#include "cluster/configuration.h"
#include "cluster/notices.h"
#include "cluster/setup.h"
#include "cluster/takeover.h"
#include "repository/layout.h"
#include "repository/open.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kRemedy =
    "set WAL_ARCHIVE=off to run without an archive, or WAL_ARCHIVE_PATH, in a bucket "
    "WAL_ARCHIVE_S3_BUCKET too, to a place that can be written, and start again";

std::string backrest(const Site& site) {
  return "pgbackrest --config=" + shell_argument(site.directory.pgbackrest_conf()) +
         " --stanza=" + shell_argument(site.settings.repository.stanza);
}

// It may wait minutes for a place that does not answer: whoever is to stop meanwhile does.
void run_backrest(const Site& site, const std::string& command) {
  constexpr std::chrono::minutes kLimit{5};
  site.board.log("pgbackrest " + command);
  const auto said_there = site.directory.pgbackrest() / "said";
  std::filesystem::remove(said_there);
  auto command_line = backrest_command(site, {command});
  command_line.log = said_there;
  auto child = ChildProcess::start(command_line);
  const auto end = std::chrono::steady_clock::now() + kLimit;
  std::optional<ExitStatus> status;
  while (!(status = child.wait_for(std::chrono::milliseconds(0)))) {
    if (std::chrono::steady_clock::now() >= end)
      throw Error(ErrorKind::system, "pgbackrest " + command + " was ended after " +
                                         format_duration(kLimit) + " without a result");
    site.rest(std::chrono::milliseconds(50));
  }
  const auto said = read_file_if_exists(said_there).value_or("");
  std::filesystem::remove(said_there);
  if (status->ok()) return;
  const auto where =
      own_archive(site.settings, site.directory, site.marker.archive_suffix).describe();
  throw Error(ErrorKind::unavailable, "the cluster's own archive in " + where +
                                          " does not work: pgbackrest " + command + " (" +
                                          status->text() + "): " + printable(trim(said), 800))
      .with_hint(kRemedy);
}

std::string place_of(const repository::RepositoryOptions& archive) {
  return archive.describe() + ", stanza " + archive.stanza;
}

// Before the stanza is there, so that a start that goes on from here takes it for its own.
void note_place(const Site& site, NodeRecord& record) {
  const auto archive = own_archive(site.settings, site.directory, site.marker.archive_suffix);
  if (record.archive_place == place_of(archive)) return;
  if (!has_made_stanza(record, archive)) {
    record.archiving = false;
    record.own_backup.clear();
  }
  record.archive_place = place_of(archive);
  record.save(site.directory, "primary");
}

void make_archive_directory(const std::filesystem::path& path) {
  try {
    make_directories(path, 0750);
  } catch (Error& error) {
    throw std::move(error).with_hint(kRemedy);
  }
}

}  // namespace

bool has_made_stanza(const NodeRecord& record, const repository::RepositoryOptions& archive) {
  if (record.archive_place.empty()) return record.archives_as(WalArchiveMode::own);
  return record.archive_place == place_of(archive);
}

void check_own_archive_is_free(const Settings& settings, const StateDirectory& directory,
                               const Marker& marker) {
  if (settings.wal_archive != WalArchiveMode::own) return;
  const auto archive = own_archive(settings, directory, marker.archive_suffix);
  const auto storage = repository::open_storage(archive);
  const auto info = repository::layout::archive_info(archive.stanza);
  if (!storage->stat(info)) return;
  throw Error(ErrorKind::target_not_empty,
              "the cluster's own archive would go to " + archive.describe() +
                  ", which holds the WAL of another cluster (" + storage->describe(info) + ")")
      .with_hint(
          "remove it if it is of no use, set WAL_ARCHIVE_PATH to another place, or use "
          "another CLUSTER_NAME");
}

void check_own_archive_is_ours(const Settings& settings, const StateDirectory& directory,
                               const Marker& marker, const NodeRecord& record) {
  if (settings.wal_archive != WalArchiveMode::own) return;
  if (!has_made_stanza(record, own_archive(settings, directory, marker.archive_suffix)))
    check_own_archive_is_free(settings, directory, marker);
}

void set_up_archiving(Site& site, NodeRecord& record) {
  if (!site.settings.archives()) {
    configure_primary(site, record, {});
    return;
  }
  const auto& directory = site.directory;
  // Another cluster may have taken the place while this one was restored. pgBackRest would find
  // that all is well, as clones of one source are one cluster to it.
  check_own_archive_is_ours(site.settings, directory, site.marker, record);
  if (site.settings.wal_archive == WalArchiveMode::own) note_place(site, record);
  for (const auto* name : {"log", "lock", "spool"}) make_directories(directory.pgbackrest() / name);
  write_file_atomic(directory.pgbackrest_conf(),
                    own_archive_conf(site.settings, directory, site.marker.archive_suffix,
                                     site.marker.socket_directory, record.superuser));
  const auto archive = own_archive(site.settings, directory, site.marker.archive_suffix);
  try {
    if (site.settings.wal_archive == WalArchiveMode::source) {
      if (!record.archives_as(WalArchiveMode::source)) {
        refuse_source_that_went_on(site.settings, directory, record);
        record.took_over = true;
        record.save(directory, "primary");
      }
    } else {
      if (archive.type == repository::RepositoryOptions::Type::posix)
        make_archive_directory(archive.path);
      run_backrest(site, "stanza-create");
    }
    configure_primary(site, record, archive_command(site));
    run_backrest(site, "check");
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    // A cluster that has archived keeps its WAL until the archive is back; stopping it for that
    // would make an outage of the archive one of the database.
    if (!record.archives_as(site.settings.wal_archive)) throw;
    site.board.warn(notice("archiving_not_set_up", error.text()));
    configure_primary(site, record, archive_command(site));
    return;
  }
  record.archiving = true;
  record.archived_as = name_of(site.settings.wal_archive);
  record.save(directory, "primary");
}

Command backrest_command(const Site& site, const std::vector<std::string>& words) {
  Command command{
      .program = "pgbackrest",
      .arguments = {"--config=" + site.directory.pgbackrest_conf().string(),
                    "--stanza=" + site.settings.repository.stanza},
      // Its session is to begin whatever its role is told to load.
      .environment = {{"PGOPTIONS",
                       std::string("-c session_preload_libraries= -c local_preload_libraries=") +
                           (site.version.at_least(17) ? " -c event_triggers=off" : "")}},
      .without_core = true};
  command.arguments.insert(command.arguments.end(), words.begin(), words.end());
  return command;
}

std::string archive_command(const Site& site) {
  if (!site.settings.archives()) return {};
  return backrest(site) + " archive-push %p";
}

std::string own_restore_command(const Site& site, const std::string& node) {
  return backrest(site) + " --pg1-path=" + shell_argument(site.directory.data(node)) +
         " archive-get %f \"%p\"";
}

}  // namespace pgrevive::cluster
