#include "cluster/join_watch.h"

namespace pgrevive::cluster {

std::optional<std::string> off_the_line(const JoinSight& sight) {
  if (!sight.primary_timeline) return {};
  if (sight.timeline > *sight.primary_timeline)
    return "it is on timeline " + std::to_string(sight.timeline.value()) +
           ", and its primary on timeline " + std::to_string(sight.primary_timeline->value());
  if (sight.reached > sight.primary_end)
    return "it has replayed to " + sight.reached.text() + ", and its primary has written to " +
           sight.primary_end.text() + " only";
  return {};
}

bool LostWatch::lost(const JoinSight& sight, std::chrono::steady_clock::time_point now) {
  if (sight.nowhere != nowhere_) {
    nowhere_ = sight.nowhere;
    since_ = now;
  }
  return !nowhere_.empty() && now - since_ >= limit_;
}

bool JoinWatch::stuck(const JoinSight& sight, std::chrono::steady_clock::time_point now) {
  const bool arrived =
      !sight.last_delivered.empty() && delivered_.insert(sight.last_delivered).second;
  // A server that was started again begins anew, and may deliver what it had already.
  const bool moved = !farthest_ || sight.server != farthest_->server ||
                     sight.timeline > farthest_->timeline || sight.reached > farthest_->reached;
  if (moved || arrived) {
    farthest_ = sight;
    since_ = now;
  }
  return now - since_ >= limit_;
}

}  // namespace pgrevive::cluster
