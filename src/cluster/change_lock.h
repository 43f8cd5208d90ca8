#pragma once

#include <string>
#include <utility>

#include "base/file.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What is done to a cluster as a whole, as messages name it.
inline constexpr const char* kStart = "start";
inline constexpr const char* kStartAnew = "start --anew";
inline constexpr const char* kCleanup = "cleanup";

// Held by whoever makes a cluster or throws it away, from before the last look that he relies on
// until there is a supervisor, or nothing any more. It lies beside run/, which goes with a cluster
// that is thrown away. To be taken as the cluster's owner.
class ChangeLock {
 public:
  // A start that is under way is waited for. Throws Error{busy} that names the process where it is
  // anything else, or does not come to its end.
  static ChangeLock take(const StateDirectory& directory, const std::string& what);

 private:
  explicit ChangeLock(FileLock held) : held_(std::move(held)) {}
  FileLock held_;
};

// Throws that Error where somebody is throwing the cluster away.
void refuse_while_thrown_away(const StateDirectory& directory);

}  // namespace pgrevive::cluster
