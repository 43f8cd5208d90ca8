#pragma once

#include <functional>
#include <string>

#include "cluster/state_directory.h"
#include "http/server.h"

// What the API does beside looking. All but logs() take their time, and none throws: what went
// wrong is in the answer.
namespace pgrevive::console {

// What `start --preview` says of a cluster that would be made anew of this one's source. The query
// has `type` (default, time, lsn, xid, name, immediate), `target` and `set`; a time is written as
// PostgreSQL reads it. A search of the WAL, which type name or xid may need, ends with 503 after
// five minutes, and as soon as `may_read` says no.
http::ServerResponse preview(const cluster::StateDirectory& directory,
                             const http::ServerRequest& request,
                             const std::function<bool()>& may_read);

// The last lines of the supervisor's log and of the restore's: {"supervisor": [...], "restore":
// [...]}. The query has `lines`, 200 at most.
http::ServerResponse logs(const cluster::StateDirectory& directory,
                          const http::ServerRequest& request);

// "test", "start", "stop" or "restart"; 404 for another.
bool is_action(const std::string& name);
http::ServerResponse act(const cluster::StateDirectory& directory, const std::string& name);

}  // namespace pgrevive::console
