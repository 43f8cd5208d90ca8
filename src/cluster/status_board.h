#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/guarded.h"
#include "base/notice.h"
#include "cluster/progress.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// Writes run/status.json as the supervisor goes on, and the supervisor's log beside it. Any thread
// may call anything.
class StatusBoard {
 public:
  StatusBoard(StateDirectory directory, SupervisorStatus first);

  // Ends the running phase and begins `phase`. Does nothing if it is the running one.
  void enter(Phase phase);
  // Written at once if the last time is 200 ms ago; otherwise with the next change or flush().
  void change(const std::function<void(SupervisorStatus&)>& change);
  // Shown to a person, once however often it is said.
  void warn(const Notice& notice);
  // A line in the supervisor's log.
  void log(const std::string& text);
  void flush();

  SupervisorStatus status();

 private:
  struct State {
    SupervisorStatus status;
    std::chrono::steady_clock::time_point written;
  };
  void write(State& state);

  StateDirectory directory_;
  Guarded<State> state_;
};

std::int64_t unix_milliseconds();

}  // namespace pgrevive::cluster
