#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {

// The prefetcher of a cluster (wal/prefetcher.h) as a process, while nodes recover from the
// source's archive. One for all of them: what the primary replays, replicas replay after it. Used
// by one thread at a time.
//
// Recovery never depends on it: without one, archive-get fetches each segment itself. So what goes
// wrong with it is told in its log and the supervisor's, and nowhere else.
class Prefetch {
 public:
  Prefetch(const Settings& settings, const StateDirectory& directory, StatusBoard& board)
      : settings_(settings), directory_(directory), board_(board) {}
  ~Prefetch() { stop(); }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // For every restored node that is still to recover; nothing if there is none, or where the
  // programs were installed without archive-get's client.
  void start();
  // Starts it again if it died, a few times. To be called a few times a second.
  void tick();
  // Nothing of it is left in any node's directory afterwards, nor of one before it.
  void stop();

 private:
  void launch();

  const Settings& settings_;
  const StateDirectory& directory_;
  StatusBoard& board_;
  std::vector<std::string> nodes_;  // empty: not wanted
  std::string from_;
  std::optional<ChildProcess> child_;
  int deaths_ = 0;  // one soon after the other
  std::chrono::steady_clock::time_point launched_;
  std::chrono::steady_clock::time_point next_start_;
};

}  // namespace pgrevive::cluster
