#pragma once

#include "base/error.h"
#include "cluster/bring_up.h"
#include "cluster/change_lock.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"
#include "cluster/preflight.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// A cluster that is thrown away and made anew of the source's backups, in the directory that it
// has.
namespace pgrevive::cluster {

// What was found before the old one goes.
struct Anew {
  Marker marker;  // of the new one
  ChosenBackup chosen;
};

// What would keep the new one from coming up, judged as if the old one were gone already: its ports
// and its space count as free. Changes nothing. Throws Error that names the first; so it does where
// the new cluster's WAL would go where there is some already, which nobody can tell from that of a
// living primary, and where the old one cannot be removed. Puts the point of the target and the
// backup into `settings`; with Search::known the point is there already.
Anew check_anew(Settings& settings, const StateDirectory& directory, const PointWatch& watch,
                Search search = Search::needed);

// From the last of these checks until the supervisor is there nobody else may start the cluster.
// Throws what check_directory() does: the lock is the owner's.
ChangeLock lock_anew(const Settings& settings, const StateDirectory& directory);

// Throws the old one away. What it is told and what it is stay known at any time, so that one that
// does not come up can be started again; so does its history of restores.
Cleanup clear_for_anew(const Settings& settings, const StateDirectory& directory,
                       const Marker& marker, const ChangeLock& held);

// launch() of cluster.h for the new one, of what was found, without another look at the repository:
// what that would say now comes too late.
void launch_anew(const Settings& settings, const StateDirectory& directory, const Anew& anew,
                 ChangeLock held, const std::filesystem::path& own_program, bool reindex);

// Makes a start that came to nothing, for which there may be nobody to tell, the cluster's status
// and a line of its log.
void note_failed_start(const Settings& settings, const StateDirectory& directory,
                       const Error& error);

// Starts the console of such a cluster again, from a copy of `own_program`: it ended with the old
// cluster, and a person who asked for the new one on its page has nobody else to say so. Nothing
// where it is off, or still there.
void bring_console_back(const Settings& settings, const StateDirectory& directory,
                        const std::filesystem::path& own_program);

}  // namespace pgrevive::cluster
