#include "cluster/doctor.h"

#include <filesystem>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "cluster/doctor_host.h"
#include "cluster/doctor_repository.h"
#include "cluster/findings.h"
#include "cluster/identity_scope.h"
#include "cluster/leftovers.h"
#include "cluster/lost_primary.h"
#include "cluster/marker.h"
#include "cluster/preflight.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cluster {
namespace {

bool may(const std::filesystem::path& path, int what) {
  return ::faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) == 0;
}

// A directory that is not there yet cannot be tried without making it, so its parent is looked at:
// we make it, and the servers' user enters it.
Finding place_of(const StateDirectory& directory, bool is_there, const Identity& owner) {
  auto nearest = directory.root();
  std::error_code ignored;
  while (!std::filesystem::exists(nearest, ignored) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  if (!is_there && !may(nearest, W_OK | X_OK))
    return failed(directory.root().string() + " cannot be made: " + nearest.string() +
                      " may not be written to",
                  "choose another place with PGREVIVE_HOME, or run this as its owner");
  const IdentityScope scope(owner);
  if (!may(nearest, is_there ? W_OK | X_OK : X_OK))
    return failed("user " + owner.name + " cannot use " + nearest.string(),
                  "every directory above it must be enterable for " + owner.name +
                      "; choose another with PGREVIVE_HOME");
  return fine(directory.root().string() + (is_there ? "" : ", to be made"));
}

}  // namespace

std::vector<Finding> examine(const Settings& settings, const StateDirectory& directory) {
  Findings findings;
  std::optional<Identity> owner;
  findings.look("servers' user", [&] {
    owner = find_owner();
    return fine(owner->name);
  });
  std::string archive_suffix = "TIME";
  if (owner)
    findings.look("state directory", [&] {
      const auto marker = check_directory(settings, directory, *owner);
      if (marker) archive_suffix = marker->archive_suffix;
      refuse_half_removed(directory);
      refuse_lost_primary(directory);
      return place_of(directory, marker.has_value(), *owner);
    });
  else
    findings.add("state directory", not_run("servers' user"));

  std::optional<ChosenBackup> chosen;
  if (settings.restore_from_backup) {
    findings.look("recovery target", [&] {
      check_target(settings);
      return fine(describe(settings.target));
    });
    std::optional<IdentityScope> scope;
    if (owner) scope.emplace(*owner);
    chosen = examine_repository(settings, directory, archive_suffix, findings);
  } else {
    findings.add("repository", not_applicable("RESTORE_FROM_BACKUP=false"));
  }
  examine_host(settings, directory, chosen, findings);
  return findings.take();
}

}  // namespace pgrevive::cluster
