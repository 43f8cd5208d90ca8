#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "cluster/target_point.h"

// A cluster whose nodes are containers (RUNTIME=docker; docker/README.md). One container, which
// sees the volumes of all nodes, makes the whole cluster as the local runtime does, takes it down
// and ends. From then on each node is a container of its own that runs one server on its volume.
//
// fill_volumes() and the run_ functions are the whole work of a container's first process: called
// by root, they go on as user postgres. Volumes are mounted below kVolumes, each by the name of its
// node.
namespace pgrevive::cluster::containers {

inline constexpr const char* kVolumes = "/pgrevive";
inline constexpr const char* kSockets = "/var/run/postgresql";

// The settings as they count in containers. Throws Error{usage} for what containers cannot do.
// Pure.
Settings settings_for(Settings settings);

// An error with a remedy that helps where servers run in containers of one image, and not the
// host's own. Pure.
Error in_words_of_docker(const Error& error);

// Fills the volumes: restores all nodes in one pass, recovers, promotes, joins the replicas, and
// stops. What is whole already is left alone, a half-made cluster is continued; where only a replica
// is not whole and the primary's container runs, that serves on. A target of name or xid is looked
// for under `watch`. Returns the exit code; 0 as well where the nodes run. How far it is, and why it
// failed, is in the status, but for volumes that it must not touch.
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
// to be stopped. Returns once it has streamed. Throws Error{postgres} where there is no such
// primary, with nothing changed; else what was begun is gone on with by the next call, or by
// fill_volumes().
void rebuild_node(const Settings& settings, const std::string& node);

// Runs the server of one node for as long as the container lives: SIGTERM is a smart shutdown,
// SIGINT a fast one, SIGQUIT an immediate one. Meanwhile it takes requests to restart the server
// (request.h), and the primary's rebuilds indexes (reindex.h). Throws where its volume is not
// whole, saying why.
int run_node(const Settings& settings, const std::string& node);

// Runs Adminer on all addresses of the container.
int run_adminer(const Settings& settings);

// For a container that shows the cluster and sees the volumes of all nodes: from then on this
// process is user postgres. Returns once there is something to see, or nothing where it is to stop.
// Makes nothing before that: what lies in a volume without a cluster is somebody else's.
std::optional<StateDirectory> wait_for_cluster(const std::stop_token& stop);

// Why the node in this container is not what it should be: a primary that accepts writes, a replica
// that streams. Empty: it is. For "adminer": its page is served.
std::string trouble_of(const std::string& node);

// The cluster as a container sees it that has the volumes of all nodes.
StateDirectory where_volumes_are();
// As that node's own container has it.
StateDirectory volume_of(const std::string& node);
// The same as where_volumes_are() for collect_status() and run_checks(): from then on connections
// of this process know the superuser's password.
StateDirectory seen_from_outside();

}  // namespace pgrevive::cluster::containers
