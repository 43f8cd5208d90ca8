#pragma once

#include <vector>

#include <sys/types.h>

#include "base/child_process.h"

namespace pgrevive::cluster {

// While it lives, files are made and opened with that user's rights. Root makes a cluster's files
// so, because in a directory that another user owns root's own rights could be led astray by a
// link. Does nothing where we are that user. The whole process changes, so no other thread may need
// root meanwhile.
class IdentityScope {
 public:
  explicit IdentityScope(const Identity& identity);
  ~IdentityScope();
  IdentityScope(const IdentityScope&) = delete;
  IdentityScope& operator=(const IdentityScope&) = delete;

 private:
  bool changed_ = false;
  uid_t user_ = 0;
  gid_t group_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace pgrevive::cluster
