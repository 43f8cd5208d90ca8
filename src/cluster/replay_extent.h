#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/guarded.h"
#include "cluster/recovery_end.h"
#include "cluster/settings.h"
#include "cluster/target_point.h"
#include "postgres/wal_name.h"

// How far a recovery will replay, so that its progress is of what lies before the target and not of
// all that the archive has.
namespace pgrevive::cluster {

// The number of the last segment that is needed to reach the goal, of an archive whose newest is
// that one; empty: nothing known tells, as of a target of time. Pure.
std::optional<std::uint64_t> last_to_replay(const RecoveryGoal& goal,
                                            const std::optional<TargetPoint>& point,
                                            const std::optional<postgres::WalSegment>& newest,
                                            std::uint32_t segment_size);

// The same of any goal: what only the WAL tells is looked for in it, on a thread of its own beside
// the replay, which does not wait for that. Used by one thread at a time.
class ReplayExtent {
 public:
  // `settings` are the cluster's; `backup` is the label that it is made of, and `timeline` the one
  // that is followed.
  ReplayExtent(Settings settings, RecoveryGoal goal, const std::string& backup,
               postgres::Timeline timeline, std::uint32_t segment_size);

  // Empty: not known, or not yet.
  std::optional<std::uint64_t> last(const std::optional<postgres::WalSegment>& newest);

 private:
  const RecoveryGoal goal_;
  std::optional<TargetPoint> point_;
  const std::uint32_t segment_size_;
  Guarded<std::optional<std::uint64_t>> found_;
  std::jthread search_;
};

}  // namespace pgrevive::cluster
