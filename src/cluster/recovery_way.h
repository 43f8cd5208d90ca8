#pragma once

#include <cstdint>
#include <vector>

#include "postgres/history.h"
#include "postgres/wal_name.h"
#include "repository/recovery_points.h"

// The segments that recovery reads on its way from a backup to the end of a line of timelines.
// Pure.
namespace pgrevive::cluster {

// How far the archive leads on that line, of what it holds for the backup (`points`, in which none
// of the backup's own segments is missing). A timeline without WAL leads no further than to where
// it left the one before.
repository::RecoveryLine line_to(const postgres::TimelineHistory& history,
                                 const repository::RecoveryPoints& points,
                                 std::uint32_t segment_size);

// The segment of that place that recovery along the line reads.
postgres::WalSegment segment_on(const postgres::TimelineHistory& history, std::uint64_t number,
                                std::uint32_t segment_size);

// All from the backup's first to the line's last.
std::vector<postgres::WalSegment> recovery_way(const postgres::TimelineHistory& history,
                                               const repository::Backup& backup,
                                               const repository::RecoveryLine& line,
                                               std::uint32_t segment_size);

}  // namespace pgrevive::cluster
