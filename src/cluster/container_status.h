#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/progress.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// What `status` shows of a cluster whose nodes are containers: each node is looked after by its
// own, and a person sees all of them as the one supervisor of the local runtime.
namespace pgrevive::cluster::containers {

// What is known of who looks after a node.
struct Keeper {
  bool lives = false;
  SupervisorStatus status;
};

// The primary's word on all: what replicas are asked for, warn of and have restarted is added to
// it, and where the primary has nothing to do, what a replica is at or has failed with. Pure.
SupervisorStatus as_one(Keeper primary, const std::vector<Keeper>& replicas);

// The same of the volumes that `directory`, the primary's, lies beside; empty where nobody was ever
// there.
std::optional<SupervisorStatus> read_as_one(const StateDirectory& directory,
                                            const Settings& settings);

// A path below kVolumes as it is in the node's own container, where people find it; any other as it
// is. Pure.
std::string path_in_container(const std::string& path);
// The same as words for a shell of Docker's host.
std::string cat_in_container(const Settings& settings, const std::string& node,
                             const std::string& path);

// The places of a status as they are in the nodes' containers. Pure.
void tell_places_in_containers(ClusterStatus& status);

}  // namespace pgrevive::cluster::containers
