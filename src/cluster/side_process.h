#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/child_process.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {

// A program beside the servers: what serves Adminer, the console.
struct SideProgram {
  std::string name;  // as the supervisor's log calls it
  std::filesystem::path pid_file;
  // A part of its command line that no other program's has: a pid in a file that is old may have
  // been given to something else.
  std::string mark;
};

// How long one that has died so often rests before it is started again. Pure.
std::chrono::seconds restart_delay(int deaths);

// Keeps such a program running. Used by one thread at a time.
class SideProcess {
 public:
  SideProcess(StatusBoard& board, SideProgram program)
      : board_(board), program_(std::move(program)) {}

  // Stops what a supervisor before us left, and starts it.
  void start(const Command& command);
  // Starts it again if it died, the later the oftener it did; warns of one that does not stay. To
  // be called every few seconds.
  void tick();
  void stop();
  // From here on it lives without us.
  void leave();

 private:
  void launch();
  void died();

  StatusBoard& board_;
  SideProgram program_;
  std::optional<Command> command_;  // empty: it is not wanted
  std::optional<ChildProcess> child_;
  int deaths_ = 0;  // one soon after the other
  std::chrono::steady_clock::time_point launched_;
  std::chrono::steady_clock::time_point next_start_;
};

// The process that is this program; empty if there is none.
std::optional<pid_t> find_side_process(const SideProgram& program);
// Stops one that a supervisor before us left, with SIGKILL where it lives longer than `limit`; true
// if there was one.
bool stop_side_process(const SideProgram& program,
                       std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace pgrevive::cluster
