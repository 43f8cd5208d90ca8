#pragma once

#include <string>

#include "base/error.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// A cluster whose nodes are containers (RUNTIME=docker; docker/README.md). One container, which
// sees the volumes of all nodes, makes the whole cluster as the local runtime does, takes it down
// and ends (volumes.h). From then on each node is a container of its own that runs one server on
// its volume (container_node.h). Volumes are mounted below kVolumes, each by the name of its node.
namespace pgrevive::cluster::containers {

inline constexpr const char* kVolumes = "/pgrevive";
inline constexpr const char* kData =
    "/var/lib/postgresql/data";  // a node's volume in its container
inline constexpr const char* kSockets = "/var/run/postgresql";

// The settings as they count in containers. Throws Error{usage} for what containers cannot do.
// Pure.
Settings settings_for(Settings settings);

// An error with a remedy that helps where servers run in containers of one image, and not the
// host's own, and whose files nobody finds by the paths that volumes have here. Pure.
Error in_words_of_docker(const Error& error);

// The cluster as a container sees it that has the volumes of all nodes.
StateDirectory where_volumes_are();
// As that node's own container has it.
StateDirectory volume_of(const std::string& node);
// The same as where_volumes_are() for collect_status() and run_checks(): from then on connections
// of this process know the superuser's password.
StateDirectory seen_from_outside();

}  // namespace pgrevive::cluster::containers
