#pragma once

#include "base/child_process.h"
#include "cluster/marker.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// Before anything is restored: has pgBackRest put a small file where the cluster's own archive will
// be and remove it again, as `owner`. Never below the source's path. Throws Error{denied} or
// {unavailable} with the choices there are.
//
// Does nothing where the cluster has no archive of its own, where that lies in its own state
// directory, and once it has archived: from then on an outage is one of the archive alone.
void probe_own_archive(const Settings& settings, const StateDirectory& directory,
                       const Marker& marker, const Identity& owner);

}  // namespace pgrevive::cluster
