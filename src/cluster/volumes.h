#pragma once

#include <string>

#include "cluster/request.h"
#include "cluster/settings.h"
#include "cluster/target_point.h"

// Filling the volumes of a cluster in containers, and emptying them: the whole work of a container
// that sees those of all nodes. Called by root, it goes on as user postgres.
namespace pgrevive::cluster::containers {

// Fills the volumes: restores all nodes in one pass, recovers, promotes, joins the replicas, and
// stops. What is whole already is left alone, a half-made cluster is continued; where only a
// replica is not whole and the primary's container runs, that serves on. A target of name or xid is
// looked for under `watch`. Returns the exit code; 0 as well where the nodes run. How far it is,
// and why it failed, is in the status, but for volumes that it must not touch.
int fill_volumes(const Settings& settings, const PointWatch& watch);

// A cluster in volumes that is thrown away and made anew of the source's backups. check_anew() says
// what would keep the new one from coming up, and changes nothing; it is for any time. make_way()
// asks the same again, and throws the old one away: the nodes' containers have to be stopped.
// fill_volumes() comes next, and finds there what the new one is told. One that was cut off is gone
// on with by go_on_making_way(), before anybody asks what the volumes hold; else that does nothing.
void check_anew(Settings& settings, const PointWatch& watch);
void make_way(const Settings& settings, const PointWatch& watch);
void go_on_making_way();

// Makes a replica anew, from the backup or from the primary, whose container runs on; its own has
// to be stopped. Returns once it has streamed, and is told of in that node's status from its begin
// to its end. Throws Error{postgres} where there is no such primary, with nothing changed; else
// what was begun is gone on with by the next call, or by fill_volumes().
RequestReport rebuild_node(const Settings& settings, const std::string& node);

}  // namespace pgrevive::cluster::containers
