#include "cluster/bring_up.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cluster/archive_line.h"
#include "cluster/archiving.h"
#include "cluster/backrest_conf.h"
#include "cluster/lost_primary.h"
#include "cluster/made_places.h"
#include "cluster/new_cluster.h"
#include "cluster/next_step.h"
#include "cluster/node_files.h"
#include "cluster/node_record.h"
#include "cluster/notices.h"
#include "cluster/preflight.h"
#include "cluster/preview.h"
#include "cluster/rebuild.h"
#include "cluster/recovery.h"
#include "cluster/reindex.h"
#include "cluster/replica.h"
#include "cluster/restore_nodes.h"
#include "cluster/setup.h"
#include "cluster/switchover.h"
#include "cluster/takeover.h"
#include "cluster/target_time.h"
#include "postgres/binaries.h"
#include "restore/choose_backup.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kPrimary = "primary";
constexpr std::chrono::hours kCrashRecoveryLimit{24};

NodeRecord record_of(const Site& site, const std::string& node) {
  return NodeRecord::load(site.directory, node).value_or(NodeRecord{});
}

NodeView view_of(const Site& site, const std::string& node) {
  const auto record = record_of(site, node);
  const auto directory = restore::inspect_directory(site.directory.data(node));
  // A record outlives a data directory that somebody removed, and then says nothing.
  const bool whole = directory == restore::DirectoryState::complete;
  return {.directory = directory,
          .unfinished = record.unfinished,
          .promoted = whole && record.promoted,
          .set_up = whole && record.set_up,
          .joined = whole && record.joined};
}

std::vector<std::string> replicas(const Site& site) {
  auto names = node_names(site.settings.replicas);
  names.erase(names.begin());
  return names;
}

[[noreturn]] void refuse(const Site& site, const std::string& node) {
  throw Error(ErrorKind::target_not_empty,
              site.directory.data(node).string() + " holds files that are not of this cluster")
      .with_hint("move them away, or remove the cluster with cleanup");
}

// A node that is whole already decides what the others are made of, whatever .env says now: the WAL
// of one is good for the other only if both have the same files.
restore::DatabaseChoice choice_under_way(const Site& site, const std::string& label) {
  for (const auto& node : node_names(site.settings.replicas)) {
    const auto record = NodeRecord::load(site.directory, node);
    if (!record || record->backup_label != label ||
        restore::inspect_directory(site.directory.data(node)) != restore::DirectoryState::complete)
      continue;
    return same_databases(*record);
  }
  return site.settings.databases;
}

// Before the first byte is fetched, as it may be hours until recovery looks. Of a recovery to all
// there is; another one needs what lies before its target. What an interrupted restore of the same
// backup has seen counts on.
FurthestEnd end_of_archive(const Site& site, const ChosenBackup& chosen) {
  if (site.settings.target.type != restore::RecoveryType::latest) return {};
  FurthestEnd seen;
  if (const auto record = NodeRecord::load(site.directory, kPrimary);
      record && !record->promoted && record->backup_label == chosen.backup.label.text())
    seen = record->furthest;
  const auto outlook = look_ahead(site.settings, chosen, false, {.stop = site.stop});
  if (outlook.problem || outlook.last_segment.empty()) return seen;
  const FurthestEnd now{.line = outlook.line.timeline.value(), .segment = outlook.last_segment};
  if (seen.segment.empty() || seen.line < now.line) return now;
  if (seen.line == now.line)
    seen.raise(postgres::WalSegment::parse(now.segment, outlook.segment_size));
  return seen;
}

void restore_missing(Site& site, const std::vector<std::string>& nodes) {
  const bool under_way = label_under_way(site.settings, site.directory).has_value();
  if (!under_way) check_own_archive_is_free(site.settings, site.directory, site.marker);
  const auto chosen = backup_for(site.settings, site.directory);
  BackupToRestore what{.label = chosen.backup.label,
                       .databases = choice_under_way(site, chosen.backup.label.text())};
  if (site.settings.wal_archive == WalArchiveMode::source)
    what.source_newest = newest_of_source(site.settings, chosen);
  if (nodes.front() == kPrimary) what.furthest = end_of_archive(site, chosen);
  site.board.change([&](SupervisorStatus& status) { status.backup_label = what.label.text(); });
  for (const auto& missing : site.settings.missing_locales) site.board.warn(missing);
  restore_nodes(site, nodes, what);
}

// What restore takes in one pass: every node that the rules say is to be restored.
void restore_all_that_need_it(Site& site, const NodeView& primary) {
  std::vector<std::string> nodes;
  if (next_step(Role::primary, primary, primary, true) == Step::restore)
    nodes.emplace_back(kPrimary);
  for (const auto& node : replicas(site)) {
    const auto view = view_of(site, node);
    if (next_step(Role::replica, view, primary, true) == Step::restore) nodes.push_back(node);
    if (next_step(Role::replica, view, primary, true) == Step::refuse) refuse(site, node);
  }
  if (!nodes.empty()) restore_missing(site, nodes);
}

void start_primary(Site& site, const NodeRecord& record) {
  const bool runs = postgres::is_running(site.directory.data(kPrimary));
  if (!runs) set_standby(site, kPrimary, false);
  configure_primary(site, record,
                    record.archives_as(site.settings.wal_archive) ? archive_command(site) : "");
  site.servers.start(kPrimary, server_options(site, kPrimary), site.port(kPrimary));
  const auto access = site.access(record.source_user);
  site.wait_until(kPrimary, "the start of the primary", kCrashRecoveryLimit, [&] {
    return access.ping(site.port(kPrimary)) == postgres::Readiness::accepting;
  });
}

// A tablespace that the source made after the backup is made anew by its WAL, at the place it had
// on the source's host. Two nodes of one host must never replay that: both would have their files
// there. So the replicas become copies of the primary, which get a place of their own.
void keep_tablespaces_apart(Site& site) {
  const auto outside = outside_tablespaces(site.directory, kPrimary);
  if (outside.empty()) return;
  for (const auto& node : replicas(site)) {
    const auto record = record_of(site, node);
    if (record.joined || record.unfinished || record.backup_label.empty()) continue;
    site.board.warn(notice("tablespace_apart", outside.front().string(), node));
    NodeRecord again;
    again.unfinished = true;
    again.no_backup = "its WAL made a tablespace in " + outside.front().string();
    again.save(site.directory, node);
  }
}

}  // namespace

void bring_up_primary(Site& site) {
  for (;;) {
    const auto view = view_of(site, kPrimary);
    auto record = record_of(site, kPrimary);
    const auto step = next_step(Role::primary, view, view, site.settings.restore_from_backup);
    // Before anything is made; `start` has asked, but what it saw may be gone since.
    if (step == Step::restore || step == Step::initialize) refuse_lost_primary(site.directory);
    switch (step) {
      case Step::refuse:
        refuse(site, kPrimary);
      case Step::restore:
        restore_all_that_need_it(site, view);
        break;
      case Step::initialize:
        check_own_archive_is_free(site.settings, site.directory, site.marker);
        initialize_primary(site);
        break;
      case Step::recover:
        // A replica whose own directory was not restored yet gets it now, while the backup still
        // serves both.
        if (!record.backup_label.empty()) restore_all_that_need_it(site, view);
        site.prefetch.start();
        recover_primary(site, record);
        break;
      case Step::set_up:
      case Step::run: {
        note_opened(site.directory);
        start_primary(site, record);
        site.board.enter(Phase::configuring);
        write_password_files(site);
        set_up_primary(site, record);
        // Once, before anybody uses it: what it needed to recover and what held its subscriptions
        // is only left behind by a restart.
        if (step == Step::set_up) {
          warn_of_made_places(site);
          site.servers.stop(kPrimary);
          start_primary(site, record);
        }
        set_up_archiving(site, record);
        look_at_collations(site, record);
        site.board.change([&](SupervisorStatus& status) {
          status.backup_label = record.backup_label;
          status.recovery_end = record.recovery_end;
        });
        return;
      }
      case Step::wait:
      case Step::rebuild:
      case Step::join:
        throw Error(ErrorKind::internal, "a replica's step for the primary");
    }
  }
}

void bring_up_replica(Site& site, const std::string& node) {
  for (;;) {
    auto record = record_of(site, node);
    switch (next_step(Role::replica, view_of(site, node), view_of(site, kPrimary),
                      site.settings.restore_from_backup)) {
      case Step::refuse:
        refuse(site, node);
      case Step::rebuild:
        rebuild_replica(site, node);
        break;
      case Step::join:
      case Step::run:
        try {
          join_replica(site, node, record);
          return;
        } catch (const Error& error) {
          if (!give_backup_up(site, node, error)) throw;
        }
        break;
      case Step::wait:
      case Step::restore:
      case Step::initialize:
      case Step::recover:
      case Step::set_up:
        throw Error(ErrorKind::internal, "a step for " + node + " that its primary has behind it");
    }
  }
}

void write_source_conf(const Site& site) {
  if (!site.settings.restore_from_backup) return;
  write_file_atomic(site.directory.source_conf(),
                    source_conf(site.settings, site.directory.data(kPrimary)));
}

BroughtUp bring_up(Site& site) {
  write_source_conf(site);
  finish_switchover(site);
  bring_up_primary(site);

  BroughtUp result;
  keep_tablespaces_apart(site);
  site.board.enter(Phase::joining);
  site.prefetch.start();
  for (const auto& node : replicas(site)) {
    try {
      bring_up_replica(site, node);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled || site.servers.gave_up(kPrimary)) throw;
      if (!result.replica_failure) result.replica_failure = error;
      site.board.log(node + ": " + error.text());
    }
  }
  site.prefetch.stop();
  return result;
}

std::optional<std::string> label_under_way(const Settings& settings,
                                           const StateDirectory& directory) {
  for (const auto& node : node_names(settings.replicas)) {
    if (const auto label = restore::interrupted_label(directory.data(node))) return label;
    const auto record = NodeRecord::load(directory, node);
    if (record && !record->backup_label.empty() &&
        restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete)
      return record->backup_label;
  }
  return {};
}

namespace {

// What an earlier start found and did not come to.
std::optional<TargetPoint> point_of_earlier(const Settings& settings,
                                            const StateDirectory& directory,
                                            const std::string& label) {
  const auto text = read_file_if_exists(directory.settings());
  if (!text) return {};
  auto earlier = from_json(*text);
  if (earlier.target != settings.target || !earlier.point || earlier.point->backup != label)
    return {};
  return std::move(earlier.point);
}

}  // namespace

std::optional<Error> find_point(Settings& settings, const StateDirectory& directory,
                                const PointWatch& watch, bool again) {
  settings.point.reset();
  if (!lies_in_records(settings.target) || !needs_restore(settings, directory)) return {};
  const auto under_way = label_under_way(settings, directory);
  if (under_way && !again) {
    settings.point = point_of_earlier(settings, directory, *under_way);
    if (settings.point) return {};
  }
  const auto chosen = backup_for(settings, directory);
  const auto& database = database_of(chosen);
  const auto repository = repository::open_repository(settings.repository);
  std::optional<std::string> set = under_way;
  // Also "latest".
  if (!set && settings.backup_set) set = chosen.backup.label.text();
  auto found = while_doing("looking for the target in the WAL archive", [&] {
    return look_up_point(
        SourceArchive{
            .repository = repository, .system_id = database.system_id, .version = database.version},
        chosen.info, set, settings.target, watch, again);
  });
  settings.point = std::move(found.point);
  return std::move(found.problem);
}

ChosenBackup backup_for(const Settings& settings, const StateDirectory& directory) {
  const auto under_way = label_under_way(settings, directory);
  if (!under_way) return choose_backup(settings);
  auto exactly = settings;
  exactly.backup_set = under_way;
  return choose_backup(exactly);
}

ChosenBackup choose_backup(const Settings& settings) {
  const auto repository = repository::open_repository(settings.repository);
  auto info = repository.load_backup_info();
  if (settings.backup_set) repository.check_finished(info, *settings.backup_set);
  auto set = settings.backup_set;
  if (!set || *set == "latest") {
    if (settings.point)
      set = settings.point->backup;
    else if (settings.chosen_backup)
      set = settings.chosen_backup;
  }
  std::optional<std::int64_t> time;
  if (settings.target.type == restore::RecoveryType::time)
    time = parse_target_time(settings.target.target);
  restore::OnTheWay way;
  if (!set) way = on_the_way(repository, info, settings.target);
  auto backup = restore::choose_backup(info, set, settings.target, time, way);
  return {.info = std::move(info), .backup = std::move(backup)};
}

const repository::DatabaseHistory& database_of(const ChosenBackup& chosen) {
  const auto* database = chosen.info.database(chosen.backup.database_id);
  if (database == nullptr)
    throw Error(ErrorKind::corrupt, "backup.info does not say which cluster backup " +
                                        chosen.backup.label.text() + " is of");
  return *database;
}

namespace {

// Where there is no such user nobody but root has written the settings either.
std::optional<Identity> whoever_runs_servers() {
  return ::geteuid() == 0 ? Identity::find("postgres") : std::nullopt;
}

}  // namespace

std::filesystem::path cluster_binaries(const Settings& settings, postgres::Version version) {
  return postgres::find_binaries(version, settings.postgres_binaries, whoever_runs_servers());
}

postgres::Version cluster_version(const Settings& settings, const StateDirectory& directory) {
  for (const auto& node : node_names(settings.replicas))
    if (const auto text = read_file_if_exists(directory.data(node) / "PG_VERSION"))
      return postgres::Version::parse(trim(*text));
  if (settings.restore_from_backup) {
    return database_of(choose_backup(settings)).version;
  }
  if (const auto version =
          postgres::newest_installed(settings.postgres_binaries, whoever_runs_servers()))
    return *version;
  throw Error(ErrorKind::not_found, "PostgreSQL is not installed")
      .with_hint("install it: apt-get install postgresql");
}

}  // namespace pgrevive::cluster
