#include "cluster/changed_target.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cluster/bring_up.h"
#include "cluster/node_files.h"
#include "cluster/passed_target.h"
#include "cluster/preview.h"
#include "cluster/recovery_end.h"
#include "cluster/target_time.h"
#include "postgres/server.h"
#include "repository/open.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using restore::RecoveryTarget;
using restore::RecoveryType;

constexpr const char* kPrimary = "primary";
constexpr std::chrono::minutes kStopLimit{5};

std::optional<TargetPoint> point_of(Settings settings, const NodeRecord& record,
                                    const RecoveryTarget& target) {
  if (!lies_in_records(target)) return {};
  settings.backup_set = record.backup_label;
  const auto chosen = choose_backup(settings);
  const auto& database = database_of(chosen);
  const auto repository = repository::open_repository(settings.repository);
  return look_up_point(SourceArchive{.repository = repository,
                                     .system_id = database.system_id,
                                     .version = database.version},
                       chosen.info, settings.backup_set, target, {})
      .point;
}

Reached reached_by(const postgres::ControlFile& control, const NodeRecord& record,
                   const RecoverySource* source, const RecoveryTarget& target) {
  Reached reached{.lsn = control.minimum_recovery_point,
                  .timeline = control.minimum_recovery_timeline,
                  .checkpoint = control.checkpoint};
  if (!record.lsn_stop.empty()) reached.consistent = Lsn::parse(record.lsn_stop);
  if (target.type == RecoveryType::time && source != nullptr && reached.lsn.is_valid())
    reached.newest_transaction = source->newest_transaction(reached.lsn);
  return reached;
}

void refuse_passed(const Settings& settings, const NodeRecord& record, const RecoverySource* source,
                   const postgres::ControlFile& control) {
  const auto target = with_zone(settings.target);
  const auto reached = reached_by(control, record, source, target);
  const auto line = source != nullptr
                        ? source->line().history
                        : postgres::TimelineHistory{.timeline = reached.timeline, .ancestors = {}};
  if (auto error = passed_target(target, line, point_of(settings, record, target), reached))
    throw error->with_hint(
        "`start --anew` restores the backup again and goes to the new target; what the earlier "
        "start was told is still in reach: " +
        record.recovery_target);
}

}  // namespace

std::string recovery_goal(const RecoveryTarget& target, const RecoverySource* source) {
  auto text = describe(target);
  if (target.exclusive) text += " exclusive";
  if (source != nullptr) text += fmt::format(" on timeline {}", source->line().timeline().value());
  return text;
}

void check_changed_target(const Settings& settings, const StateDirectory& directory,
                          postgres::Version version) {
  const auto data = directory.data(kPrimary);
  if (restore::inspect_directory(data) != restore::DirectoryState::complete) return;
  const auto record = NodeRecord::load(directory, kPrimary);
  if (!record || record->promoted || record->recovery_target.empty()) return;
  const auto& set = settings.backup_set;
  if (set && *set != "latest" && *set != record->backup_label)
    throw Error(ErrorKind::usage, fmt::format("the cluster is being made of backup {}, not of {}",
                                              record->backup_label, *set))
        .with_hint("`start --anew` throws away what there is and takes the other one");
  const auto control = load_control_file(data);
  std::optional<RecoverySource> source;
  if (replays_archive(*record, settings.target))
    source.emplace(settings, version, *record, control);
  const RecoverySource* const from = source ? &*source : nullptr;
  if (record->recovery_target == recovery_goal(with_zone(settings.target), from)) return;
  refuse_passed(settings, *record, from, control);
  auto exactly = settings;
  exactly.backup_set = record->backup_label;
  if (const auto outlook = look_ahead(exactly, choose_backup(exactly), false); outlook.problem)
    throw *outlook.problem;
}

void turn_to_target(Site& site, NodeRecord& record, const RecoverySource* source) {
  const auto target = with_zone(site.settings.target);
  const auto wanted = recovery_goal(target, source);
  if (record.recovery_target == wanted) return;
  // It would go on to what it was told, and pause there.
  const auto data = site.directory.data(kPrimary);
  site.servers.stop(kPrimary);
  if (!postgres::stop_server(data, postgres::ShutdownMode::fast, kStopLimit))
    throw Error(ErrorKind::busy,
                "the server of primary is on the way to another target and does not stop");
  if (!record.recovery_target.empty()) {
    if (record.promoting && !is_standby(site, kPrimary))
      throw Error(ErrorKind::usage,
                  fmt::format("recovery target {} cannot be reached any more: the primary was "
                              "promoted at {}",
                              describe(target), record.recovery_target))
          .with_hint("`start --anew` restores the backup again and goes to the new target");
    refuse_passed(site.settings, record, source, load_control_file(data));
    site.board.log(fmt::format("primary: recovery goes on to {}, no longer to {}", wanted,
                               record.recovery_target));
  }
  record.recovery_target = wanted;
  record.save(site.directory, kPrimary);
}

}  // namespace pgrevive::cluster
