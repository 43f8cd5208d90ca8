#pragma once

#include <stop_token>
#include <string>

#include "cluster/target_point.h"

namespace pgrevive::cli {

// Says now and then, on standard error, how far the search for a recovery target in the WAL of the
// archive is; one that is over soon, nothing. A line of its own each time: whoever waits minutes
// wants to see them in a log as well.
cluster::PointWatch watch_search(std::stop_token stop = {});

}  // namespace pgrevive::cli
