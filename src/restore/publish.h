#pragma once

#include "restore/nodes.h"
#include "restore/prepare.h"
#include "restore/report.h"

namespace pgrevive::restore {

// Makes everything durable and only then lets the nodes start: pg_control gets its name last, and
// the marker goes after that.
void publish(const Nodes& nodes, const FileSystems& file_systems, Report& report);

}  // namespace pgrevive::restore
