#pragma once

#include <optional>

#include "base/error.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What can still be found out about a supervisor that has ended and could not say why in its status:
// whether its directory takes files at all, and the end of its log.
Error silent_end(const StateDirectory& directory);

// Of one that runs and says nothing: why it can say nothing, if that is so. Writes a file beside the
// status, as the cluster's owner, and removes it again.
std::optional<Error> why_silent(const StateDirectory& directory);

}  // namespace pgrevive::cluster
