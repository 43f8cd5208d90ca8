#pragma once

#include <functional>
#include <optional>
#include <string>

#include "repository/backup_info.h"
#include "restore/recovery.h"

namespace pgrevive::restore {

// Whether recovery from a backup can get to the timeline that is wanted; empty: it always can.
using OnTheWay = std::function<bool(const repository::Backup&)>;

// The backup to start from: `set` if given ("latest" too), else the newest that ended before the
// target (time: timestamp_stop < target; lsn: lsn_stop <= target), else the newest; of those that
// lie `on_the_way` to the target's timeline. `target_time` is the target as Unix seconds where the
// type is time. Pure.
//
// Throws Error{not_found} naming what the repository has instead.
const repository::Backup& choose_backup(const repository::BackupInfo& info,
                                        const std::optional<std::string>& set,
                                        const RecoveryTarget& target,
                                        std::optional<std::int64_t> target_time,
                                        const OnTheWay& on_the_way = {});

}  // namespace pgrevive::restore
