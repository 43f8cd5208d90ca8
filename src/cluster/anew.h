#pragma once

#include "base/error.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// A cluster that is thrown away and made anew of the source's backups, in the directory that it has.
namespace pgrevive::cluster {

// What would keep the new one from coming up, judged as if the old one were gone already: its ports
// and its space count as free. Changes nothing. Throws Error that names the first; so it does where
// the new cluster's WAL would go where there is some already, which nobody can tell from that of a
// living primary. Puts the point of the target into `settings`. Returns the new cluster's marker.
Marker check_anew(Settings& settings, const StateDirectory& directory, const PointWatch& watch);

// Throws the old one away. What it is told and what it is stay known at any time, so that one that
// does not come up can be started again; so does its history of restores.
Cleanup clear_for_anew(const Settings& settings, const StateDirectory& directory,
                       const Marker& marker);

// Makes a start that came to nothing, for which there may be nobody to tell, the cluster's status
// and a line of its log.
void note_failed_start(const Settings& settings, const StateDirectory& directory,
                       const Error& error);

}  // namespace pgrevive::cluster
