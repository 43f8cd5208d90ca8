#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/guarded.h"
#include "cluster/newest_commits.h"
#include "cluster/onlooker.h"
#include "cluster/state_directory.h"
#include "console/lag_history.h"
#include "console/view.h"

namespace pgrevive::console {

// Looks at the cluster again and again, on a thread of its own: every second while somebody watches
// or the cluster is being brought up, else every five. Any thread may call anything.
class Watcher {
 public:
  struct Told {
    std::function<bool()> somebody_watches;
    // On the watcher's thread; of a look that failed with the last one that did not.
    std::function<void(const View&)> looked;
  };

  // Looks once before it returns, so that there always is a view. Goes on with the history of lags
  // that the last one kept. Throws what keeps it from that look.
  Watcher(cluster::StateDirectory directory, Told told);
  ~Watcher();

  std::shared_ptr<const View> view();
  // The lag of each replica over the last day, of each minute the greatest, and of the last quarter
  // of an hour of each look: {"samples": [{"time_ms": ..., "nodes": {"replica": {"lag_bytes": ...,
  // "lag_seconds": ...}}}]}, the oldest first.
  nlohmann::json history();
  // Writes the history of lags down for the next console. Done without being asked every minute,
  // but not while the cluster is brought up: a restore has better use for the disk. Does not throw.
  void keep_history();

 private:
  void run(const std::stop_token& stop);
  void look();
  void tell_failure(const std::string& why);

  cluster::StateDirectory directory_;
  Told told_;
  // Of the watcher's thread alone.
  cluster::Onlooker onlooker_;
  std::chrono::steady_clock::time_point kept_;
  std::vector<std::string> secrets_;  // that no error may tell

  struct State {
    std::shared_ptr<const View> view;
    LagHistory lags;
  };
  Guarded<State> state_;
  std::mutex writing_;  // the file of the history, by one at a time
  std::jthread thread_;
};

// Reads the source's repository now and then; never while a restore has better use for the line.
class RepositoryWatcher {
 public:
  explicit RepositoryWatcher(cluster::StateDirectory directory, std::function<bool()> may_read);
  ~RepositoryWatcher();

  std::shared_ptr<const RepositoryView> view();
  // Reads it at once. Takes as long as the storage does.
  std::shared_ptr<const RepositoryView> read();

 private:
  cluster::StateDirectory directory_;
  std::function<bool()> may_read_;
  Guarded<std::shared_ptr<const RepositoryView>> view_;
  Guarded<cluster::NewestCommits> commits_;
  std::jthread thread_;
};

}  // namespace pgrevive::console
