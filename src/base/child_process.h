#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/identity.h"

namespace pgrevive {

// How a child ended. Exactly one of the two is set.
struct ExitStatus {
  std::optional<int> code;    // it called exit
  std::optional<int> signal;  // a signal ended it

  bool ok() const { return code == 0; }
  std::string text() const;  // "exit code 1", "signal 9 (Killed)"
};

// What to run. The child gets its own session where `detach` is set, else its own process group;
// standard input from /dev/null; no descriptor of ours but 0, 1, 2; default signal handlers and an
// empty signal mask.
struct Command {
  std::filesystem::path program;  // looked up in PATH when it has no slash
  std::vector<std::string> arguments;
  // Added to, or with nullopt removed from, what a child has of our own environment: paths,
  // language, time zone and the way to the network, and nothing else (is_inherited() in spawn.h).
  // Secrets go in here or in files, never in arguments.
  std::map<std::string, std::optional<std::string>> environment;
  std::filesystem::path directory;   // working directory; ours if empty
  std::filesystem::path log;         // stdout and stderr are appended here; ours if empty
  std::optional<Identity> identity;  // become this user (only root can), with that user's
                                     // supplementary groups, HOME and USER
  bool detach = false;
  bool without_core = false;  // no core dump of it, nor of its children: they hold keys
};

struct Output {
  ExitStatus status;
  std::string out;
  std::string err;
};

// A running child. Exactly one object owns it: destroying that object kills the child with its
// process group and reaps it, so a test that fails and a supervisor that throws leave nothing
// running behind them. Used by one thread at a time.
class ChildProcess {
 public:
  // Throws Error{not_found} where the program is missing and Error{system} or {denied} where it
  // cannot be started (also when exec itself fails in the child).
  static ChildProcess start(const Command& command);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }  // -1 once its end has been seen
  // To the child alone, not to its group. Nothing happens if it has ended.
  void send(int signal) const;

  // Empty if it is still running when the time is up. After the end it gives the same status again.
  std::optional<ExitStatus> wait_for(std::chrono::milliseconds time);
  ExitStatus wait();

  // Gives up ownership: the child lives on, and whoever calls this answers for it.
  pid_t release();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  friend Output run(const Command&, std::string_view, std::chrono::milliseconds);
  bool reap(int flags);
  void kill_and_reap() noexcept;

  pid_t pid_ = -1;  // -1 once reaped or moved from: a pid we no longer own may be someone else's
  std::optional<ExitStatus> status_;  // set once reaped
};

// Runs `command` to its end with `input` on its standard input and what it prints kept (16 MiB at
// most of each; command.log is not used). Returns when the program itself has ended, even if
// something it left behind holds its output open. Kills it and its process group and throws
// Error{system} when `limit` is over.
Output run(const Command& command, std::string_view input = {},
           std::chrono::milliseconds limit = std::chrono::minutes(10));

// Whether a process of that pid is there and has not ended. One that has ended stays in the table
// as a zombie until its parent asks for its status; it does not count.
bool is_alive(pid_t pid);

// Waits until a process that need not be our child has ended with all its threads, so that its
// files are closed and its ports free. False if it is still there when the time is up.
bool wait_for_end(pid_t pid, std::chrono::milliseconds limit);

// The first executable of that name in PATH, or empty.
std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace pgrevive
