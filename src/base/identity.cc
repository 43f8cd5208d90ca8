#include "base/identity.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive {
namespace {

Identity to_identity(const passwd& entry) {
  return {.uid = entry.pw_uid, .gid = entry.pw_gid, .name = entry.pw_name, .home = entry.pw_dir};
}

template <typename Lookup>  // (passwd*, char* buffer, size_t, passwd** result) -> int
std::optional<Identity> look_up(const std::string& what, Lookup&& lookup) {
  std::vector<char> buffer(1024);
  for (;;) {
    passwd entry{};
    passwd* found = nullptr;
    const int error = lookup(&entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (found != nullptr) return to_identity(entry);
    // Which of these means "there is none" differs between the sources of user names.
    const bool absent = error == 0 || error == ENOENT || error == ESRCH || error == EPERM;
    if (!absent && error != EINTR) throw system_error(error, "cannot look up " + what);
    if (absent) return {};
  }
}

}  // namespace

Identity Identity::current() {
  const uid_t uid = ::geteuid();
  auto identity = find(uid);
  // Containers run as numbers that no file knows.
  if (!identity) identity = {.uid = uid, .name = fmt::format("{}", uid), .home = "/"};
  identity->gid = ::getegid();
  return *identity;
}

std::optional<Identity> Identity::find(const std::string& user_name) {
  return look_up("user " + user_name,
                 [&](auto... rest) { return ::getpwnam_r(user_name.c_str(), rest...); });
}

std::optional<Identity> Identity::find(uid_t uid) {
  return look_up(fmt::format("user {}", uid),
                 [uid](auto... rest) { return ::getpwuid_r(uid, rest...); });
}

std::vector<gid_t> Identity::groups() const {
  int count = 32;
  std::vector<gid_t> found(static_cast<std::size_t>(count));
  while (::getgrouplist(name.c_str(), gid, found.data(), &count) < 0) {
    found.resize(std::max(static_cast<std::size_t>(count), found.size() * 2));
    count = static_cast<int>(found.size());
  }
  found.resize(static_cast<std::size_t>(count));
  return found;
}

}  // namespace pgrevive
