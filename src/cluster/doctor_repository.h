#pragma once

#include <optional>
#include <string>

#include "cluster/bring_up.h"
#include "cluster/findings.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// How a repository is read where a person waits: two tries are enough.
repository::RepositoryOptions hurried(repository::RepositoryOptions options);

// The repository, from the way to it up to the backup that would be restored, which is returned
// where it was found. `archive_suffix` is the marker's (Marker::archive_suffix).
std::optional<ChosenBackup> examine_repository(const Settings& settings,
                                               const StateDirectory& directory,
                                               const std::string& archive_suffix,
                                               Findings& findings);

}  // namespace pgrevive::cluster
