#pragma once

#include <string>

#include "cluster/state_directory.h"
#include "http/server.h"

// What the API does beside looking. Each takes its time and never throws: what went wrong is in the
// answer.
namespace pgrevive::console {

// What `start --preview` says of a cluster that would be made anew of this one's source. The query
// has `type` (default, time, lsn, xid, name, immediate), `target` and `set`; a time is written as
// PostgreSQL reads it.
http::ServerResponse preview(const cluster::StateDirectory& directory,
                             const http::ServerRequest& request);

// The last lines of the supervisor's log and of the restore's: {"supervisor": [...], "restore":
// [...]}. The query has `lines`, 200 at most.
http::ServerResponse logs(const cluster::StateDirectory& directory,
                          const http::ServerRequest& request);

// "test", "start", "stop" or "restart"; 404 for another.
bool is_action(const std::string& name);
http::ServerResponse act(const cluster::StateDirectory& directory, const std::string& name);

}  // namespace pgrevive::console
