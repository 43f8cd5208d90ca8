#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace pgrevive {

// What went wrong, as far as anyone deciding what to do next needs to know. The number is the
// process exit code, so it is never reused; docs/errors.md says what an operator does about each.
enum class ErrorKind {
  internal = 20,          // a bug in this program
  usage = 21,             // a wrong option or configuration value
  unavailable = 22,       // the storage could not be reached, after all retries
  not_found = 23,         // something that has to exist does not
  corrupt = 24,           // bytes that do not match their format or their checksum
  unsupported = 25,       // a valid input that this version cannot handle
  target_not_empty = 26,  // the directory holds files we did not put there
  postgres = 27,          // a PostgreSQL program or query failed
  denied = 28,            // the storage or the system refused: wrong key, missing permission
  system = 29,            // the operating system failed: disk full, I/O error, too many files
  busy = 30,              // another process holds what is needed: a running server, a lock, a port
  cancelled = 31,         // a signal or a caller asked to stop
};

// The one exception type this program throws. Code that can do something about a failure looks at
// kind(); everyone else lets it pass and, where they know more than the thrower, adds a frame.
//
// Messages are lower case, name the thing, and have no full stop.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

  // What to try next, in one sentence for the operator; empty if there is nothing better to say.
  const std::string& hint() const { return hint_; }
  Error& with_hint(std::string hint) & {
    hint_ = std::move(hint);
    return *this;
  }
  Error&& with_hint(std::string hint) && { return std::move(with_hint(std::move(hint))); }

  // What was being done when the error passed by, innermost first.
  const std::vector<std::string>& frames() const { return frames_; }
  void add_frame(std::string doing) { frames_.push_back(std::move(doing)); }

  // The message with its frames and hint, a line each, as a terminal or a log shows it:
  //   checksum does not match
  //     while restoring base/16384/2619
  //   hint: ...
  std::string text() const;

 private:
  ErrorKind kind_;
  std::string hint_;
  std::vector<std::string> frames_;
};

// Runs `body`; an Error that leaves it carries `doing` ("restoring base/16384/2619") with it.
template <typename Body>
decltype(auto) while_doing(const std::string& doing, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.add_frame(doing);
    throw;
  }
}

// An Error of the kind that `error_number` (an errno value) calls for, with the system's own words:
// system_error(ENOSPC, "cannot write /x") is Error{system, "cannot write /x: No space left on
// device"} and carries a hint where one helps (ENOSPC, EACCES, EROFS, EMFILE).
Error system_error(int error_number, const std::string& what);

}  // namespace pgrevive
