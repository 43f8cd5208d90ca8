#pragma once

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// A primary is made, from the backup or empty, only where no earlier one of this cluster was
// written to: the new one would have none of that, and what is gone may be a file system that is
// not mounted. A replica that holds it would be made anew from the new primary. Throws
// Error{not_found} that names such a replica, whether or not the settings still ask for it, else
// what can be done.
void refuse_lost_primary(const StateDirectory& directory);

}  // namespace pgrevive::cluster
