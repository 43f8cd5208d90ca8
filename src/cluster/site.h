#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "cluster/access.h"
#include "cluster/host.h"
#include "cluster/marker.h"
#include "cluster/prefetch.h"
#include "cluster/servers.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "cluster/status_board.h"
#include "postgres/version.h"

namespace pgrevive::cluster {

// Everything the steps of bringing a cluster up work on. One per supervisor; used by its main
// thread.
struct Site {
  const Settings& settings;
  const StateDirectory& directory;
  const Marker& marker;
  StatusBoard& board;
  Servers& servers;
  Prefetch& prefetch;
  std::stop_token stop;
  Host host;
  postgres::Version version;
  std::filesystem::path binaries;
  // A node in its container: what the server says is ours to say.
  bool alone = false;
  // Where the primary is a host of its own; empty: its socket is with all others.
  std::string primary_host;

  int port(const std::string& node) const;
  // Connections to the primary, whose files came from `source_user`, and to all nodes where they
  // are on one host.
  Access access(const std::string& source_user) const;
  // To a server that this process started.
  Access access_here(const std::string& source_user) const;

  // Waits, and looks after the prefetcher; throws Error{cancelled} as soon as a stop is asked for.
  void rest(std::chrono::milliseconds time) const;
  // Waits until `done`, restarting servers that die meanwhile. Throws Error{postgres} when `node`
  // was given up, and Error{postgres} naming `what` when `limit` is over.
  void wait_until(const std::string& node, const std::string& what, std::chrono::seconds limit,
                  const std::function<bool()>& done);
};

}  // namespace pgrevive::cluster
