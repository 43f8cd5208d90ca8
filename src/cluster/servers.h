#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "cluster/status_board.h"
#include "postgres/server.h"

namespace pgrevive::cluster {

// The PostgreSQL servers of one cluster as processes. Starts them, adopts those that a supervisor
// before us left running, starts again those that die, and gives up one that cannot start five
// times in a row. Used by one thread at a time.
//
// Nothing here kills a server: when the supervisor goes away unasked its servers live on.
class Servers {
 public:
  explicit Servers(StatusBoard& board) : board_(board) {}

  // From here on the server shall run. One that runs already is adopted, unless it listens on
  // another port; that one is stopped and started.
  void start(const std::string& node, const postgres::ServerOptions& options, int port);
  // Has it stop and wants it no more, without waiting for that.
  void ask_to_stop(const std::string& node, postgres::ShutdownMode mode);
  // Stops it (fast mode) and wants it no more. Throws Error{busy} if it does not stop in time.
  void stop(const std::string& node);
  // Stops every server that was started here: replicas first, so that what the primary writes at
  // its end reaches them.
  void stop_all();

  bool running(const std::string& node);
  // Whether it is started again when it ends.
  bool wanted(const std::string& node) const;
  // Starts again what died, as far as it is due. To be called a few times a second.
  void tick();
  // Why a server was given up; empty while there is hope.
  std::optional<Error> gave_up(const std::string& node) const;
  // Gives every given-up server a new chance.
  void try_again();

 private:
  struct Server {
    postgres::ServerOptions options;
    int port = 0;
    bool wanted = false;
    bool up = false;     // it lived at the last look
    bool ready = false;  // and was seen to accept connections since it was started
    pid_t child = 0;     // ours to reap; 0 for an adopted one
    int failures = 0;    // in a row
    std::chrono::steady_clock::time_point next_start;
    std::optional<Error> given_up;
  };
  bool look(Server& server) const;
  void launch(const std::string& node, Server& server);
  void died(const std::string& node, Server& server);

  StatusBoard& board_;
  std::map<std::string, Server> servers_;
};

// Why the server of that log ended, for a message: its last FATAL or PANIC and the hint behind it,
// else the last lines. Of a log that cannot be read it is that, and of one that is not there
// nothing.
std::string why_it_ended(const std::filesystem::path& log);
// The last lines of a log; else the same.
std::string last_lines(const std::filesystem::path& log, std::size_t lines = 5);

}  // namespace pgrevive::cluster
