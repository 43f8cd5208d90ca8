#include "cluster/other_repository.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "cluster/doctor_repository.h"
#include "repository/repository.h"

namespace pgrevive::cluster {
namespace {

std::string shown(const NamedRepository& repository) {
  return fmt::format("{} ({})", repository.name, repository.options.describe());
}

std::string or_none(const std::string& name) { return name.empty() ? "none" : name; }

// Of the PostgreSQL cluster that was backed up last there.
repository::DatabaseHistory newest_system(const repository::BackupInfo& info) {
  const auto id = info.backups.empty() ? info.current_id : info.backups.back().database_id;
  const auto* system = info.database(id);
  if (system == nullptr)
    throw Error(ErrorKind::corrupt, "backup.info does not know the cluster of its backups");
  return *system;
}

NewestOfRepository newest_of(const repository::RepositoryOptions& options,
                             const repository::DatabaseHistory& system) {
  const auto repository = repository::open_repository(options);
  const auto info = repository.load_backup_info();
  NewestOfRepository newest;
  for (const auto& backup : info.backups) {
    const auto* of = info.database(backup.database_id);
    if (of == nullptr || of->system_id != system.system_id || of->version != system.version)
      continue;
    newest.backup = backup.label.text();
    newest.backup_stopped = backup.timestamp_stop;
  }
  const repository::WalArchive archive(repository, repository.load_archive_info(), system.system_id,
                                       system.version);
  for (const auto& id : archive.archive_ids())
    if (const auto range = archive.range(id)) newest.wal = std::max(newest.wal, range->max);
  return newest;
}

}  // namespace

Finding judge_other(const std::string& used_name, const NewestOfRepository& used,
                    const std::string& other_name, const NewestOfRepository& other) {
  std::vector<std::string> newer;
  // By timeline first, as PostgreSQL itself takes the newest of a directory.
  if (other.wal > used.wal)
    newer.push_back(
        fmt::format("newer WAL ({}; {} ends with {})", other.wal, used_name, or_none(used.wal)));
  if (other.backup_stopped > used.backup_stopped)
    newer.push_back(fmt::format("a newer backup ({}; the newest of {} is {})", other.backup,
                                used_name, or_none(used.backup)));
  if (newer.empty())
    return fine(fmt::format("{} has nothing newer than {}, of which the cluster is made",
                            other_name, used_name));
  return warning(
      fmt::format("{} has {}, and the cluster is made of {}", other_name, fmt::join(newer, " and "),
                  used_name),
      fmt::format("to have that too, make it of {}: by a configuration with no other repository",
                  other_name));
}

std::vector<Finding> examine_others(const NamedRepository& used,
                                    const std::vector<NamedRepository>& others) {
  Findings findings;
  for (const auto& other : others) {
    try {
      const auto own = hurried(used.options);
      const auto system = newest_system(repository::open_repository(own).load_backup_info());
      // First the other: what a source archives meanwhile is not newer there for that.
      const auto theirs = newest_of(hurried(other.options), system);
      findings.add(other.name,
                   judge_other(shown(used), newest_of(own, system), shown(other), theirs));
    } catch (const Error& error) {
      findings.add(
          other.name,
          warning(fmt::format("whether {} has newer WAL or backups than {} is not known: {}",
                              shown(other), used.name, error.what()),
                  error.hint()));
    }
  }
  return findings.take();
}

}  // namespace pgrevive::cluster
