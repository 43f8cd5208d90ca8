#pragma once

#include <string>
#include <vector>

#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// One line of what `doctor` found.
struct Finding {
  enum class Result {
    ok,
    warning,         // it will work, and somebody should know
    failed,          // `start` would fail over it, or what it makes would
    not_applicable,  // with these settings
    not_run,         // because something before it failed; `detail` names that
  };
  std::string name;
  Result result = Result::ok;
  std::string detail;
  std::string remedy;  // never empty where something failed
};

// Looks at everything that a start depends on: the way to the repository, what it holds, and this
// host. Never throws for what it finds, and changes nothing: no file is made here, no object
// written there. The repository is read as the user whom the servers run as, because they will.
//
// Every look has a bound in time; with a repository that answers it takes a few seconds, with one
// that does not twenty at most.
std::vector<Finding> examine(const Settings& settings, const StateDirectory& directory);

}  // namespace pgrevive::cluster
