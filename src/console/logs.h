#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/state_directory.h"
#include "http/server.h"

namespace pgrevive::console {

// Lines of one log of the cluster: {"of": ..., "logs": [...], "lines": [...], "skipped": N,
// "searched_from": N, "next": N}. Never throws. The query has
//
//   of      one of "logs": a node, its restore ("restore", "restore-replica"), or a process of
//           ours ("supervisor", ...)
//   lines   how many of the last ones at most, 100 by default and 1000 at most
//   search  only lines with that in them, in whatever case
//   from    "next" of an earlier answer: only what was written since
http::ServerResponse logs(const cluster::StateDirectory& directory,
                          const http::ServerRequest& request);

// The last lines of the log that is called `of` there, as they would be told; none where nothing
// was written yet. Throws where it cannot be read.
std::vector<std::string> last_log_lines(const cluster::StateDirectory& directory,
                                        const std::string& of, std::size_t most);

}  // namespace pgrevive::console
