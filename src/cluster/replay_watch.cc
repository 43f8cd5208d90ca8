#include "cluster/replay_watch.h"

namespace pgrevive::cluster {

void ReplayWatch::begin(const ReplaySight& sight, std::chrono::steady_clock::time_point now) {
  first_ = sight;
  since_ = now;
}

bool ReplayWatch::stuck(const ReplaySight& sight, std::chrono::steady_clock::time_point now) {
  // Deliveries alone are no movement.
  auto still = sight;
  if (first_) {
    still.delivered_count = first_->delivered_count;
    still.last_delivered = first_->last_delivered;
  }
  if (!first_ || still != *first_ || sight.delivered_count < first_->delivered_count) {
    delivered_ = {sight.last_delivered};
    begin(sight, now);
    return false;
  }
  // A file that did not arrive before is.
  if (delivered_.insert(sight.last_delivered).second) {
    begin(sight, now);
    return false;
  }
  return now - since_ >= limit_ && sight.delivered_count - first_->delivered_count >= kDeliveries;
}

}  // namespace pgrevive::cluster
