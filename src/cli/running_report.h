#pragma once

#include <string>

#include "cluster/progress.h"
#include "cluster/settings.h"

namespace pgrevive::cli {

// What is told once a cluster runs: endpoints, how to connect, what was restored in how long, where
// recovery ended, what was left out; `collations` is what collations_text() says.
std::string running_report(const cluster::Settings& settings,
                           const cluster::SupervisorStatus& status,
                           const std::string& collations = {});

// "12 of 12 indexes", and what failed.
std::string reindex_text(const cluster::ReindexProgress& reindex);

}  // namespace pgrevive::cli
