#pragma once

#include <chrono>
#include <stop_token>
#include <thread>

namespace pgrevive::cli {

// Turns SIGINT, SIGTERM and SIGHUP into a request to stop, for as long as the object lives. A
// second signal ends the process at once. Make it before other threads are started: they inherit
// its signal mask.
class StopOnSignal {
 public:
  StopOnSignal();
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  // Sleeps; false as soon as stopping was asked for.
  bool wait_for(std::chrono::milliseconds time) const;

 private:
  std::stop_source source_;
  std::jthread waiter_;
};

// A broken pipe or connection is an error that a write returns, not the end of the process.
void ignore_broken_pipes();

// The first process of a container gets no signal that it has no handler for, so Ctrl-C would do
// nothing: there it ends by SIGINT, SIGTERM and SIGHUP as any other process does by default.
void end_on_signals_as_first_process();

}  // namespace pgrevive::cli
