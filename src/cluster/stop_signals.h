#pragma once

#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

namespace pgrevive::cluster {

// Turns SIGTERM, SIGINT and SIGQUIT into a stop request and SIGHUP into "try again what was given
// up". The signals are blocked in every thread and waited for in one, so no handler interrupts
// anything. One per process, made before any other thread.
class StopSignals {
 public:
  StopSignals();

  std::stop_token stop() const { return stop_.get_token(); }
  // The last one that asked for a stop; 0: none did.
  int last() const { return last_; }
  bool take_try_again() { return try_again_.exchange(false); }

 private:
  void wait(const std::stop_token& end);

  sigset_t signals_{};
  std::stop_source stop_;
  std::atomic<int> last_ = 0;
  std::atomic<bool> try_again_ = false;
  std::jthread thread_;
};

}  // namespace pgrevive::cluster
