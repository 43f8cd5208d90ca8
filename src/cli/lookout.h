#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "cluster/onlooker.h"
#include "console/lag_history.h"

namespace pgrevive::cli {

// What who watches a cluster sees beside its status.
struct Beside {
  std::vector<console::LagSample> lags;  // up to now, the oldest first
  std::vector<std::string> log;          // the last lines of a restore that goes on
  // The source and from when to when one can recover from it; empty: nobody here knows.
  std::string source;
};

// Gathers that, look by look. Used by one thread.
class Lookout {
 public:
  explicit Lookout(cluster::StateDirectory directory);
  // Does not throw: what cannot be had is not shown. From the second time on it asks the cluster's
  // console, where that runs, twice a minute what it knows of the source, for two seconds at most,
  // or until somebody wants it to stop.
  Beside look(const cluster::Sight& sight, const std::stop_token& stop);

 private:
  using Clock = std::chrono::steady_clock;

  cluster::StateDirectory directory_;
  console::LagHistory lags_;
  std::string source_;
  bool drawn_ = false;  // nobody waits for the first picture because of the source
  Clock::time_point next_;
};

// "s3://bucket/path", and a line for each stretch that can be recovered to, from what the console
// answers at api/v1/repository; empty where it has not read it yet, or knows of no source. Throws
// nlohmann::json::exception for what is no such answer. Pure but for the time zone.
std::string source_text(const std::string& answer);

}  // namespace pgrevive::cli
