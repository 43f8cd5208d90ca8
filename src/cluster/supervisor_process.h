#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// The pid of the supervisor that lives; empty if none does. A lock that is held is the proof, the
// pid is written into the locked file.
std::optional<pid_t> find_supervisor(const StateDirectory& directory);

// The last one's pid while that process is there, also when it has given its lock back and is about
// to end.
std::optional<pid_t> last_supervisor(const StateDirectory& directory);

// Whether the server on that node's data directory was started by this cluster: its configuration
// is the one we wrote. False where none runs.
bool server_is_ours(const StateDirectory& directory, const std::string& node);

// Throws Error{busy} that names the data directory of a node on which a server runs that is not.
void refuse_foreign_servers(const StateDirectory& directory);

// The names of all nodes that a cluster can have.
std::vector<std::string> possible_nodes();
// The nodes that have a directory, the primary last: the order to stop them in.
std::vector<std::string> existing_nodes(const StateDirectory& directory);

}  // namespace pgrevive::cluster
