#include "cli/backup_choice.h"

#include "base/error.h"
#include "cli/point_watch.h"
#include "cluster/archive_line.h"
#include "cluster/target_time.h"
#include "repository/open.h"
#include "restore/choose_backup.h"

namespace pgrevive::cli {
namespace {

std::optional<cluster::SourceArchive> archive_of(const BackupChoice& choice) {
  const auto* database = choice.info.database(choice.backup().database_id);
  if (database == nullptr) return {};
  return cluster::SourceArchive{.repository = *choice.repository,
                                .system_id = database->system_id,
                                .version = database->version};
}

}  // namespace

BackupChoice choose_backup(const IndexedRepository& entry, const std::optional<std::string>& set,
                           const restore::RecoveryTarget& target) {
  std::optional<std::int64_t> time;
  if (target.type == restore::RecoveryType::time) time = cluster::parse_target_time(target.target);
  auto repository =
      std::make_unique<repository::Repository>(repository::open_repository(entry.options));
  auto info = repository->load_backup_info();
  if (set) repository->check_finished(info, *set);
  restore::OnTheWay way;
  if (!set) way = cluster::on_the_way(*repository, info, target);
  auto label = restore::choose_backup(info, set, target, time, way).label;
  return {.repository = std::move(repository),
          .info = std::move(info),
          .label = std::move(label),
          .chosen = cluster::how_chosen(set),
          .lookup = {}};
}

void look_up_point(BackupChoice& choice, const std::optional<std::string>& set,
                   const restore::RecoveryTarget& target, std::stop_token stop, bool again) {
  const auto source = archive_of(choice);
  if (!cluster::lies_in_records(target) || !source) return;
  // Also "latest".
  const auto only = set ? std::optional(choice.label.text()) : std::nullopt;
  choice.lookup = while_doing("looking for the target in the WAL archive", [&] {
    return cluster::look_up_point(*source, choice.info, only, target, watch_search(stop), again);
  });
  if (choice.lookup.point)
    choice.label = repository::BackupLabel::parse(choice.lookup.point->backup);
}

std::optional<cluster::Outlook> look_ahead(const BackupChoice& choice,
                                           const restore::RecoveryTarget& target, bool exact,
                                           std::stop_token stop) {
  const auto source = archive_of(choice);
  if (!source) return {};
  auto outlook = cluster::look_ahead(*source, choice.info, choice.backup(), choice.chosen, target,
                                     exact, watch_search(std::move(stop)));
  if (choice.lookup.problem)
    outlook.problem = choice.lookup.problem;
  else if (choice.lookup.point)
    cluster::lead_to(outlook, *choice.lookup.point);
  return outlook;
}

std::optional<std::uint64_t> stored_wal(const BackupChoice& choice,
                                        const cluster::Outlook& outlook) {
  const auto source = archive_of(choice);
  return source ? cluster::stored_wal(*source, outlook) : std::nullopt;
}

}  // namespace pgrevive::cli
