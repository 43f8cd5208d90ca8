#pragma once

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

}  // namespace pgrevive::console
