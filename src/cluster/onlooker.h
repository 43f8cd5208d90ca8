#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "cluster/cluster.h"
#include "cluster/rates.h"

namespace pgrevive::cluster {

// A look at a cluster, with what only who looks again and again can know.
struct Sight {
  std::int64_t time_ms = 0;  // Unix
  ClusterStatus status;
  Rates rates;
};

// Whether it is being brought up or taken down.
bool is_at_work(const ClusterStatus& status);

// For who looks every second: what costs more than a blink (Look::whole) is looked at once a minute
// and known from then on, not by the first look, and not while the cluster is brought up, when the
// disk has better things to do. Used by one thread at a time.
class Onlooker {
 public:
  explicit Onlooker(StateDirectory directory) : directory_(std::move(directory)) {}
  // Throws what collect_status() does.
  Sight look();

 private:
  using Clock = std::chrono::steady_clock;
  void remember(const ClusterStatus& status);
  void recall(ClusterStatus& status) const;

  StateDirectory directory_;
  RateMeter meter_;
  bool looked_ = false;
  bool was_at_work_ = false;
  Clock::time_point whole_look_;  // none yet: there was none
  std::map<std::string, std::uint64_t> data_bytes_;
  bool adminer_answers_ = true;  // nobody asked yet
};

}  // namespace pgrevive::cluster
