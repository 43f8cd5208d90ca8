#pragma once

#include "cluster/node_record.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// Starts a replica of the running primary and waits until it streams and has replayed what the
// primary had written when this began. From the source's archive it takes only what the fork rule
// allows. Safe to run again.
void join_replica(Site& site, const std::string& node, NodeRecord& record);

// Starts one that has joined before; does not wait for it.
void start_replica(Site& site, const std::string& node, const NodeRecord& record);

}  // namespace pgrevive::cluster
