#pragma once

#include <string>

#include "cluster/node_record.h"
#include "cluster/recovery_source.h"
#include "cluster/settings.h"
#include "cluster/site.h"
#include "cluster/state_directory.h"
#include "postgres/version.h"

// A start that goes on with a recovery, and is told another target than the one before it.
namespace pgrevive::cluster {

// What a recovery to `target` along the line of `source` goes to, as NodeRecord keeps it. `source`
// is null where nothing is replayed of an archive.
std::string recovery_goal(const restore::RecoveryTarget& target, const RecoverySource* source);

// Throws Error{usage} where the files of the primary were recovered past the target of `settings`
// already, or are of another backup than it names, and what look_ahead() says of a target that the
// archive does not lead to. Nothing where it has none yet, was promoted, or is told what it was
// told before. Changes nothing; a server that still runs may get further than it looks from here.
void check_changed_target(const Settings& settings, const StateDirectory& directory,
                          postgres::Version version);

// To be called before a primary that is restored and not promoted yet is recovered, or recovered
// further: notes in `record` what that goes to, and saves it. Where it was told something else,
// stops the server that may still be on the way to that, and throws as check_changed_target();
// what it was told stays noted then. `source` is null where nothing is replayed of an archive.
void turn_to_target(Site& site, NodeRecord& record, const RecoverySource* source);

}  // namespace pgrevive::cluster
