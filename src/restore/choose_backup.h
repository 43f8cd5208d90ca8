#pragma once

#include <optional>
#include <string>

#include "repository/backup_info.h"
#include "restore/recovery.h"

namespace pgrevive::restore {

// The backup to start from: `set` if given ("latest" too), else the newest that ended before the
// target (time: timestamp_stop < target; lsn: lsn_stop <= target), else the newest. `target_time`
// is the target as Unix seconds where the type is time. Pure.
//
// Throws Error{not_found} naming what the repository has instead.
const repository::Backup& choose_backup(const repository::BackupInfo& info,
                                        const std::optional<std::string>& set,
                                        const RecoveryTarget& target,
                                        std::optional<std::int64_t> target_time);

}  // namespace pgrevive::restore
