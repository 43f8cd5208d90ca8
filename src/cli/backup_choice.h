#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "cli/backrest_config.h"
#include "cluster/outlook.h"
#include "cluster/target_point.h"
#include "repository/repository.h"
#include "restore/recovery.h"

// The backup of one repository that a recovery to a target begins with.
namespace pgrevive::cli {

struct BackupChoice {
  std::unique_ptr<repository::Repository> repository;
  repository::BackupInfo info;
  repository::BackupLabel label;
  cluster::Chosen chosen = cluster::Chosen::for_target;
  // Of a target of name or xid that was looked for in the WAL.
  cluster::PointLookup lookup;

  const repository::Backup& backup() const { return *info.find(label); }
};

// `set`, else the newest that fits. Throws where there is none, and what a storage throws.
BackupChoice choose_backup(const IndexedRepository& entry, const std::optional<std::string>& set,
                           const restore::RecoveryTarget& target);

// Where a target of name or xid lies in the WAL that stands beside the backups, and the backup that
// leads there; nothing for other targets.
void look_up_point(BackupChoice& choice, const std::optional<std::string>& set,
                   const restore::RecoveryTarget& target, std::stop_token stop, bool again);

// What the archive beside the backup says about the target; empty where backup.info does not know
// the cluster it is of. `exact` as in cluster::look_ahead().
std::optional<cluster::Outlook> look_ahead(const BackupChoice& choice,
                                           const restore::RecoveryTarget& target, bool exact,
                                           std::stop_token stop);
// What is stored of the WAL that it leads along.
std::optional<std::uint64_t> stored_wal(const BackupChoice& choice,
                                        const cluster::Outlook& outlook);

}  // namespace pgrevive::cli
