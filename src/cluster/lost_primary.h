#pragma once

#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// A primary is made, from the backup or empty, only where no replica holds what an earlier one
// wrote: the new primary would have none of it, and the replica would be made anew from that.
// Throws Error{not_found} where one does, whether or not the settings still ask for that replica.
void refuse_lost_primary(const StateDirectory& directory);

}  // namespace pgrevive::cluster
