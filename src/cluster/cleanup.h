#pragma once

#include <functional>
#include <optional>

#include "cluster/change_lock.h"
#include "cluster/cluster.h"
#include "cluster/state_directory.h"
#include "repository/open.h"

namespace pgrevive::cluster {

// cleanup() of cluster.h removes everything; clear() what the cluster was made of alone. That keeps
// the directory itself, which the owner could not make again where it lies in one of root's, and in
// it what the cluster is, what it was told, how its restores went, and the console's token, so that
// who acts on an open page can go on.
//
// Nodes are set aside (leftovers.h) before anything is removed, and go after all else. `in_between`
// is called when only they are left, to write what is to be known from then on.
//
// Root removes as whoever owns the directory, who could lead root's own rights astray by a link.
enum class CleanupOf { everything, what_was_made };
Cleanup clear(const StateDirectory& directory, const ChangeLock& held,
              const std::function<void()>& in_between);

// The cluster's own WAL archive, where that lies outside of its directory and stays when the cluster
// is removed. Empty where there is none. Throws Error{corrupt}.
std::optional<repository::RepositoryOptions> kept_archive(const StateDirectory& directory);

// Whether all of it can be removed: a mount cannot, nor what lies behind a link. To be known before
// anything is stopped. Throws Error that names the place. What is made anew has to lie where the
// old was, so there a link in the place of data is refused too.
void check_removable(const StateDirectory& directory, CleanupOf what);

}  // namespace pgrevive::cluster
