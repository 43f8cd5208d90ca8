#pragma once

#include <string>
#include <vector>

#include "cli/source.h"
#include "cluster/doctor.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cli {

// The cluster a command is about: --cluster, else CLUSTER_NAME of the .env, else the default name.
std::string chosen_cluster(const GlobalOptions& global);
cluster::StateDirectory chosen_state_directory(const GlobalOptions& global);

// The same, for commands that need a cluster that was started once; throws Error{not_found} with
// the names of those that there are.
cluster::StateDirectory existing_state_directory(const GlobalOptions& global);

// What `start` tells the cluster: the .env (its repository replaced by --config, if given), or
// where that is about another cluster or not there, what the cluster was told the last time. So is
// the repository where the .env has not a word of one.
// `warnings` takes what a person should see.
cluster::Settings chosen_settings(const GlobalOptions& global, std::vector<std::string>& warnings);

// Where --config has several repositories, of which the cluster is made of the first: what of the
// others a person should know of beforehand, by their names. Nothing where nothing is restored;
// `anew`: what is there goes.
std::vector<cluster::Finding> examine_other_repositories(const GlobalOptions& global,
                                                         const cluster::Settings& settings,
                                                         const cluster::StateDirectory& directory,
                                                         bool anew);

// Whether the cluster reached its target once: it is there, and no target is for it.
bool is_recovered(const cluster::StateDirectory& directory);

// What an earlier start was told and did not reach yet holds on: going on to what .env says, mostly
// the end of the archive, could not be undone. `tell` prints that it is so.
void keep_target(const cluster::StateDirectory& directory, cluster::Settings& settings,
                 bool tell = true);

}  // namespace pgrevive::cli
