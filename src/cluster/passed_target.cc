#include "cluster/passed_target.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/recovery_end.h"
#include "cluster/target_time.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using restore::RecoveryType;

std::string where(const Reached& reached) {
  return fmt::format("{} on timeline {}", reached.lsn.text(), reached.timeline.value());
}

// Empty: it lies ahead.
std::string behind(const restore::RecoveryTarget& target, const std::optional<TargetPoint>& point,
                   const Reached& reached) {
  switch (target.type) {
    case RecoveryType::immediate:
      if (reached.consistent.is_valid() && reached.lsn <= reached.consistent) return {};
      return "which is past where the backup became consistent";
    case RecoveryType::lsn:
      // Between both PostgreSQL stops at the target's own record, and refuses to where that is not
      // the last one that was replayed.
      if (Lsn::parse(target.target) >= std::min(reached.lsn, reached.checkpoint)) return {};
      return "which is past that";
    case RecoveryType::time: {
      if (!reached.newest_transaction) return {};
      const auto time = parse_target_microseconds(target.target);
      if (!ends_recovery(target, *reached.newest_transaction, time)) return {};
      const std::chrono::system_clock::time_point newest{
          std::chrono::microseconds(*reached.newest_transaction)};
      return "with a transaction of " + format_time(newest);
    }
    case RecoveryType::name:
    case RecoveryType::xid:
      if (!point) return "and where the target lies is not known";
      if (point->begin >= reached.lsn) return {};
      return "which is past it, at " + point->begin.text();
    case RecoveryType::latest:
    case RecoveryType::standby:
    case RecoveryType::none:
    case RecoveryType::preserve:
      break;
  }
  return {};
}

}  // namespace

std::optional<Error> passed_target(const restore::RecoveryTarget& target,
                                   const postgres::TimelineHistory& line,
                                   const std::optional<TargetPoint>& point,
                                   const Reached& reached) {
  if (!reached.lsn.is_valid()) return {};
  std::string why;
  if (!line.passes(reached.timeline, reached.lsn))
    why = fmt::format("and timeline {} does not pass that", line.timeline.value());
  else
    why = behind(target, point, reached);
  if (why.empty()) return {};
  return Error(ErrorKind::usage, fmt::format("recovery target {} cannot be reached any more: an "
                                             "earlier start recovered the primary to {}, {}",
                                             describe(target), where(reached), why));
}

}  // namespace pgrevive::cluster
