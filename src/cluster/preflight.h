#pragma once

#include "base/child_process.h"
#include "cluster/marker.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What can be known to be wrong before anything is written: settings that do not go together,
// somebody else's server on a data directory, ports, programs, the repository and its backup, disk
// space, an archive of its own that cannot be written. Throws Error that names the first.
void preflight(const Settings& settings, const StateDirectory& directory, const Marker& marker,
               const Identity& owner);

}  // namespace pgrevive::cluster
