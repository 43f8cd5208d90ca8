#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.h"
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

// How large the nodes' data is, counted on a thread of its own: no look waits for a slow disk.
// Used by one thread at a time.
class DataSizes {
 public:
  explicit DataSizes(StateDirectory directory) : directory_(std::move(directory)) {}
  // Begins to count, unless that goes on still.
  void count(std::vector<std::string> nodes);
  // Has one that goes on end early, and forget what it has counted.
  void give_up() { thread_.request_stop(); }
  // As they were counted last.
  std::map<std::string, std::uint64_t> known() { return *known_.lock(); }

 private:
  StateDirectory directory_;
  Guarded<std::map<std::string, std::uint64_t>> known_;
  std::atomic<bool> counting_ = false;
  std::jthread thread_;
};

// For who looks every second: what costs more than a blink is looked at once a minute and known
// from then on, not by the first look, and not while the cluster is brought up, when the disk has
// better things to do. Used by one thread at a time.
class Onlooker {
 public:
  explicit Onlooker(StateDirectory directory) : directory_(directory), sizes_(directory) {}
  // Throws what collect_status() does.
  Sight look();

 private:
  using Clock = std::chrono::steady_clock;
  void remember(const ClusterStatus& status);

  StateDirectory directory_;
  RateMeter meter_;
  bool looked_ = false;
  bool was_at_work_ = false;
  Clock::time_point whole_look_;  // none yet: there was none
  bool adminer_answers_ = true;   // nobody asked yet
  DataSizes sizes_;
};

}  // namespace pgrevive::cluster
