#pragma once

#include <string>

#include "base/error.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// Throws Error{postgres} where no primary takes connections: a replica may then be the only copy of
// what the cluster wrote, and must not be given away.
void check_primary_serves(const Site& site);

// Whether a replica can be given away to be made anew: the primary serves, and where it will be
// copied there is room for that. Throws what rebuild_replica() would, while the replica is still
// there.
void check_rebuild(Site& site, const std::string& node);

// Makes the files of a replica whose primary is set up and runs, from the backup or from the
// primary (rebuild_choice.h); join_replica() comes next. What is done and why is in the log, and in
// the node's record. What an interrupted run left is continued, or removed. A backup that fails is
// told of, and the primary copied.
void rebuild_replica(Site& site, const std::string& node);

// Whether it was made from the backup that way and `error`, which kept it from joining, may be for
// that. Then it is to be copied from the primary, and a person is told.
bool give_backup_up(Site& site, const std::string& node, const Error& error);

}  // namespace pgrevive::cluster
