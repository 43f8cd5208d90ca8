#pragma once

#include "cluster/cluster.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// cleanup() of cluster.h; or of what the cluster was made of alone. That keeps the directory itself,
// which the owner could not make again where it lies in one of root's, and in it what the cluster
// is, what it was told, and how its restores went.
enum class CleanupOf { everything, what_was_made };
Cleanup cleanup(const StateDirectory& directory, CleanupOf what);

}  // namespace pgrevive::cluster
