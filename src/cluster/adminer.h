#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "cluster/settings.h"
#include "cluster/side_process.h"
#include "cluster/state_directory.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {

// A server on Adminer's login page.
struct AdminerServer {
  std::string name;     // "primary (5433)"
  std::string address;  // "127.0.0.1:5433"
};

// The page that PHP serves: Debian's Adminer with a login form that offers these servers and
// refuses every other. Pure.
std::string adminer_page(const std::vector<AdminerServer>& servers, const std::string& user,
                         const std::string& database);

// The address a client on this host reaches the servers at; empty: only over the sockets. Pure.
std::string local_address(const std::string& listen_addresses);

// Adminer on PHP's built-in server, kept running. Used by one thread at a time.
class Adminer {
 public:
  Adminer(const Settings& settings, const StateDirectory& directory, StatusBoard& board);

  // Does nothing where ADMINER_PORT is 0; warns where a package is missing.
  void start();
  // Starts it again if it died. To be called every few seconds.
  void tick();
  void stop();

 private:
  const Settings& settings_;
  const StateDirectory& directory_;
  StatusBoard& board_;
  SideProcess process_;
};

// The process that this cluster's Adminer is served by; empty if there is none.
std::optional<pid_t> find_adminer(const StateDirectory& directory);
// Stops one that a supervisor before us left; true if there was one.
bool stop_orphaned_adminer(const StateDirectory& directory);

// Whether a GET of its login page is answered with Adminer's page.
bool adminer_answers(const Settings& settings, std::chrono::milliseconds limit);
std::string adminer_url(const Settings& settings);
// What a browser on this host opens for something that listens on that address; empty for port 0.
std::string url_of(const std::string& listen, int port);

}  // namespace pgrevive::cluster
