#include "cluster/replay_extent.h"

#include <utility>

#include "cluster/bring_up.h"
#include "cluster/preview.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::WalSegment;
using restore::RecoveryType;

// As a start judges the target, and exactly. Empty: it cannot be found out; replay itself will
// tell.
std::optional<std::uint64_t> search(const Settings& settings, const std::stop_token& stop) {
  try {
    const auto outlook = look_ahead(settings, choose_backup(settings), true, {.stop = stop});
    if (outlook.problem || outlook.last_segment.empty()) return {};
    return WalSegment::parse(outlook.last_segment, outlook.segment_size).number();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

std::optional<std::uint64_t> last_to_replay(const RecoveryGoal& goal,
                                            const std::optional<TargetPoint>& point,
                                            const std::optional<WalSegment>& newest,
                                            std::uint32_t segment_size) {
  switch (goal.target.type) {
    case RecoveryType::latest:
    case RecoveryType::standby:
      if (newest) return newest->number();
      return {};
    case RecoveryType::immediate:
      if (goal.backup_stop) return goal.backup_stop->number();
      return {};
    case RecoveryType::lsn:
      return Lsn::parse(goal.target.target).value() / segment_size;
    case RecoveryType::name:
    case RecoveryType::xid:
      if (point) return WalSegment::parse(point->segment, segment_size).number();
      return {};
    case RecoveryType::time:
    case RecoveryType::none:
    case RecoveryType::preserve:
      break;
  }
  return {};
}

ReplayExtent::ReplayExtent(Settings settings, RecoveryGoal goal, const std::string& backup,
                           postgres::Timeline timeline, std::uint32_t segment_size)
    : goal_(std::move(goal)), segment_size_(segment_size) {
  if (settings.point && settings.point->backup == backup) point_ = settings.point;
  if (goal_.target.type != RecoveryType::time) return;
  settings.target = goal_.target;
  settings.target.timeline = std::to_string(timeline.value());
  settings.backup_set = backup;
  search_ = std::jthread([this, settings = std::move(settings)](const std::stop_token& stop) {
    const auto found = search(settings, stop);
    *found_.lock() = found;
  });
}

std::optional<std::uint64_t> ReplayExtent::last(const std::optional<WalSegment>& newest) {
  if (const auto known = last_to_replay(goal_, point_, newest, segment_size_)) return known;
  return *found_.lock();
}

}  // namespace pgrevive::cluster
