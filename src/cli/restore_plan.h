#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "cli/backup_choice.h"
#include "cli/source.h"
#include "repository/manifest.h"
#include "restore/recovery.h"
#include "wal/followed_line.h"

// What `restore` restores, judged before its first byte: of which repository, and to where.
namespace pgrevive::cli {

struct RestorePlan {
  BackupChoice choice;
  repository::Manifest manifest;
  // As it was asked for, but that it names the timeline where a server would follow another one by
  // itself than that which was judged, and that nothing is recovered of a backup made offline
  // without a target.
  restore::RecoveryTarget target;
  // That recovery goes along, as far as it is known now.
  std::optional<wal::FollowedLine> line;
};

// With the first repository, in order, of which the WAL beside a backup leads to the target; where
// all that was archived is wanted, with the one that reaches furthest. Of those that do not lead
// there, it is told on stderr why not. A gap of it does not matter where the other repositories
// have what it lacks, since archive-get looks into all of them. `set` is a label, or empty. Throws
// what the first had, where none leads there; what a storage throws; Error{cancelled}.
RestorePlan plan_restore(const Source& source, const std::string& set,
                         restore::RecoveryTarget target, std::stop_token stop);

}  // namespace pgrevive::cli
