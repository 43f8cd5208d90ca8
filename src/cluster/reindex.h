#pragma once

#include <functional>

#include "cluster/access.h"
#include "cluster/node_record.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// Looks into all databases of the running primary and keeps what was found (collations.json), for
// `status` and the report of `start`. What goes wrong is logged and stops nothing.
void look_at_collations(Site& site, const NodeRecord& record);

// Makes template1 one that a database can be made from: PostgreSQL refuses a template of another
// version of its collation. Throws Error{not_found} where this host lacks its locale.
void make_template_usable(Site& site, const Access& access);

// Throws Error{not_found} where nobody can connect to that database because this host lacks its
// locale.
void check_locale_of(const Site& site, const Access& access, const std::string& database);

// `start --reindex` leaves a file for the supervisor, which holds on until the work is done: a
// repair that was cut off is taken up by the next start.
bool reindex_is_asked_for(const StateDirectory& directory);
void ask_for_reindex(const StateDirectory& directory);

// Does what is asked for, if it is: rebuilds the affected indexes of every database on the primary
// (replicas get it by WAL) and takes over the versions of this host. The cluster is in use
// meanwhile; `meanwhile` is called some times a second. Failures are in the status, and stop
// neither the others nor the cluster. Throws Error{cancelled} when a stop is asked for.
void reindex_if_asked(Site& site, const std::function<void()>& meanwhile = {});

}  // namespace pgrevive::cluster
