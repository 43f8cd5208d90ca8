#include "cluster/identity_scope.h"

#include <cerrno>
#include <cstdlib>

#include <grp.h>
#include <unistd.h>

#include "base/error.h"
#include "base/private_memory.h"

namespace pgrevive::cluster {

IdentityScope::IdentityScope(const Identity& identity) : user_(::geteuid()), group_(::getegid()) {
  if (identity.uid == user_) return;
  const int count = ::getgroups(0, nullptr);
  groups_.resize(static_cast<std::size_t>(count > 0 ? count : 0));
  if (count > 0 && ::getgroups(count, groups_.data()) < 0)
    throw system_error(errno, "cannot ask for our groups");
  if (::initgroups(identity.name.c_str(), identity.gid) != 0 || ::setegid(identity.gid) != 0 ||
      ::seteuid(identity.uid) != 0)
    throw system_error(errno, "cannot act as user " + identity.name);
  keep_memory_private();
  changed_ = true;
}

IdentityScope::~IdentityScope() {
  if (!changed_) return;
  // Going on with rights that nobody expects would be worse than ending here.
  if (::seteuid(user_) != 0 || ::setegid(group_) != 0 ||
      ::setgroups(groups_.size(), groups_.data()) != 0)
    std::abort();
  keep_memory_private();
}

}  // namespace pgrevive::cluster
