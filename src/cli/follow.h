#pragma once

#include <cstdint>
#include <string>

#include "cluster/anew.h"
#include "cluster/cluster.h"
#include "cluster/settings.h"

namespace pgrevive::cli {

struct Following {
  bool detach = false;   // return as soon as the work has begun
  bool reindex = false;  // wait for that too
  // What was asked for is told as a JSON object when it is done, and the way there on standard
  // error: {"done": "start", "already_running": false, "status": as of `status --json`}.
  bool json = false;
  std::string act = "start";  // as that names it
};

// Launches the cluster, shows its way up and returns when it runs: 0. Throws what the supervisor
// failed with. Ctrl-C leaves it to itself and returns the exit code of `cancelled`, as JSON throws
// it. With `reindex` throws Error{postgres} where an index could not be rebuilt.
int launch_and_follow(cluster::Settings settings, const cluster::StateDirectory& directory,
                      const Following& words = {});
// The same of a cluster that was cleared for that.
int launch_anew_and_follow(const cluster::Settings& settings,
                           const cluster::StateDirectory& directory, const Following& words,
                           const cluster::Anew& anew, cluster::ChangeLock held);

// What in the databases depends on how this host orders texts; empty: nothing that needs a repair.
std::string collations_of(const cluster::Settings& settings,
                          const cluster::StateDirectory& directory);
// Throws Error{postgres} where an index could not be rebuilt.
void check_reindexed(const cluster::SupervisorStatus& status);

// Shows how the rebuilding of indexes gets on that the primary's container was asked for, and
// returns when it is over: 0. Ctrl-C as above.
int follow_reindex(const cluster::StateDirectory& directory);

// Shows how the containers of a cluster start that needs no restore, from `since_ms` on, until all
// are up, one has failed, or somebody interrupts it.
int follow_nodes(const cluster::StateDirectory& directory, std::int64_t since_ms);

// Shows how the service that fills the volumes of containers gets on, as far as it began after
// `since_ms` (Unix milliseconds), and returns when that container has ended: its exit code then
// comes on the descriptor `end`. Throws what it failed with. Ctrl-C as above.
int follow_service(const cluster::StateDirectory& directory, std::int64_t since_ms, int end);

}  // namespace pgrevive::cli
