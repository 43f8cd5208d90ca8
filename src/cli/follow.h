#pragma once

#include "cluster/cluster.h"
#include "cluster/settings.h"

namespace pgrevive::cli {

// Launches the cluster, shows its way up and returns when it runs: 0. Throws what the supervisor
// failed with. Ctrl-C leaves it to itself and returns the exit code of `cancelled`. With `reindex`
// it waits for that too, and throws Error{postgres} where an index could not be rebuilt.
int launch_and_follow(cluster::Settings settings, const cluster::StateDirectory& directory,
                      bool detach, bool reindex = false);

}  // namespace pgrevive::cli
