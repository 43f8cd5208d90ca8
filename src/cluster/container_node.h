#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "cluster/settings.h"
#include "cluster/state_directory.h"

// What runs in the containers of a cluster's nodes, on volumes that are filled (volumes.h): each is
// the work of a container's first process. Called by root, it goes on as user postgres.
namespace pgrevive::cluster::containers {

// Runs the server of one node for as long as the container lives: SIGTERM is a smart shutdown,
// SIGINT a fast one, SIGQUIT an immediate one. Meanwhile it takes requests to restart the server
// (request.h), and the primary's rebuilds indexes (reindex.h). Throws where its volume is not
// whole, saying why.
int run_node(const Settings& settings, const std::string& node);

// Runs Adminer on all addresses of the container.
int run_adminer(const Settings& settings);

// For a container that shows the cluster and sees the volumes of all nodes. Returns once there is
// something to see, or nothing where it is to stop. Makes nothing before that: what lies in a volume
// without a cluster is somebody else's.
std::optional<StateDirectory> wait_for_cluster(const std::stop_token& stop);

// Whether the node in this container is still on its way up, which a server that recovers from a
// crash may be for hours. Asked of a container that runs.
bool is_coming_up(const std::string& node);

// Why the node in this container is not what it should be: a primary that accepts writes, a replica
// that streams. Empty: it is. For "adminer": its page is served.
std::string trouble_of(const std::string& node);

}  // namespace pgrevive::cluster::containers
