#pragma once

#include "base/error.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What can still be found out about a supervisor that has ended and could not say why in its status:
// whether its directory takes files at all, and the end of its log.
Error silent_end(const StateDirectory& directory);

}  // namespace pgrevive::cluster
