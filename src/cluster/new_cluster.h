#pragma once

#include "cluster/site.h"
#include "postgres/connection.h"

// Data directories that do not come from a backup. Each removes what an interrupted run of its own
// or an interrupted restore left, and records `unfinished` while it works.
namespace pgrevive::cluster {

// An empty new primary, by initdb.
void initialize_primary(Site& site);

// A base copy of the running primary, by pg_basebackup, with tablespaces of its own. `because` is
// noted in the node's record, and so is how long it took.
void copy_primary(Site& site, const std::string& node, const std::string& because);

// Removes of a node that is made anew what is of no use for that: half a copy, and a replica's
// tablespaces whose data directory is gone; what a restore left, where that is not to be continued.
enum class Leftovers { of_restores_too, but_restores };
void remove_leftovers(Site& site, const std::string& node, Leftovers which);

// Bytes of such a copy, and so of the primary.
std::uint64_t primary_bytes(postgres::Connection& connection);

// Throws Error{system} where that many bytes, which lie in tablespaces as the primary's do, would
// not fit once what the node has is gone.
enum class MadeOf { backup, primary };
void check_fits_instead(const Site& site, const std::string& node, MadeOf made_of,
                        std::uint64_t bytes, postgres::Connection& primary);

// From here on what is on disk of that replica counts as a copy that was interrupted, so it is
// thrown away and made anew once the primary runs. That it has joined stays known until then:
// should the primary be lost meanwhile, it holds what the cluster wrote.
void give_away(const StateDirectory& directory, const std::string& node);

}  // namespace pgrevive::cluster
