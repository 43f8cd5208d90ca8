#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "cluster/target_point.h"
#include "postgres/history.h"
#include "postgres/lsn.h"
#include "restore/recovery.h"

// A recovery that was interrupted and is told another target: whether its files have gone past
// that already. PostgreSQL refuses some such targets, and stops behind others at the next record
// that it replays. Pure.
namespace pgrevive::cluster {

// What the files of the node hold.
struct Reached {
  // pg_control's minimum recovery point, read while no server runs: of the WAL behind it they have
  // nothing.
  postgres::Lsn lsn;
  postgres::Timeline timeline;  // that it lies on
  // Where its newest checkpoint is: replay begins no later, so what ends it behind that is found
  // again.
  postgres::Lsn checkpoint;
  postgres::Lsn consistent;  // where the backup became so; not valid: not known
  // When the newest transaction before `lsn` ended (microseconds since 1970); only for a target of
  // time. Empty: none did.
  std::optional<std::int64_t> newest_transaction;
};

// Why recovery along `line`, which is straight, cannot end at the target any more. `point`: where a
// target of name or xid lies; one of which nobody knows that counts as passed.
std::optional<Error> passed_target(const restore::RecoveryTarget& target,
                                   const postgres::TimelineHistory& line,
                                   const std::optional<TargetPoint>& point, const Reached& reached);

}  // namespace pgrevive::cluster
