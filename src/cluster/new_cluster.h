#pragma once

#include "cluster/site.h"

// Data directories that do not come from a backup. Each removes what an interrupted run of its own
// or an interrupted restore left, and records `unfinished` while it works.
namespace pgrevive::cluster {

// An empty new primary, by initdb.
void initialize_primary(Site& site);

// A base copy of the running primary, by pg_basebackup, with tablespaces of its own.
void copy_primary(Site& site, const std::string& node);

// From here on what is on disk of that replica counts as a copy that was interrupted, so it is thrown
// away and made anew.
void give_away(Site& site, const std::string& node);

}  // namespace pgrevive::cluster
