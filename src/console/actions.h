#pragma once

#include <functional>
#include <string>

#include "cluster/state_directory.h"
#include "http/server.h"

// What the API does beside looking. All take their time, and none throws: what went
// wrong is in the answer.
namespace pgrevive::console {

// What `start --preview` says of a cluster that would be made anew of this one's source. The query
// has `type` (default, time, lsn, xid, name, immediate), `target`, `set` and `timeline` (without it
// what the cluster was told); a time is written as PostgreSQL reads it. A search of the WAL, which
// type name or xid may need, ends with 503 after five minutes, and as soon as `may_read` says no.
http::ServerResponse preview(const cluster::StateDirectory& directory,
                             const http::ServerRequest& request,
                             const std::function<bool()>& may_read);

// "test", "start", "stop", "restart"; "restart-node", "rebuild" and "switchover" of the `node` of
// the query; and "restore", which makes the cluster anew of what a preview of the same query
// (`type`, `target`, `set`, `timeline`) tells.
bool is_action(const std::string& name);
// In containers only "test" and "restart-node" are done; 409 for the others, with what does them.
// Those that destroy data need `confirm` in the query, the name of the cluster; 400 without.
http::ServerResponse act(const cluster::StateDirectory& directory, const std::string& name,
                         const http::ServerRequest& request);

}  // namespace pgrevive::console
