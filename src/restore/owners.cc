#include "restore/owners.h"

#include <cerrno>
#include <map>
#include <set>
#include <string_view>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/text.h"
#include "restore/notices.h"

namespace pgrevive::restore {

namespace {

// The _r functions say ERANGE until the buffer is large enough for the entry.
template <typename Entry, typename Look>
bool look_up(const Look& look, Entry& entry, std::vector<char>& buffer) {
  buffer.resize(1024);
  while (true) {
    Entry* found = nullptr;
    const int error = look(&entry, buffer.data(), buffer.size(), &found);
    if (error != ERANGE || buffer.size() > (1u << 20)) return error == 0 && found != nullptr;
    buffer.resize(buffer.size() * 2);
  }
}

}  // namespace

std::optional<uid_t> find_user(const std::string& name) {
  passwd entry{};
  std::vector<char> buffer;
  const auto look = [&](passwd* into, char* data, std::size_t size, passwd** found) {
    return ::getpwnam_r(name.c_str(), into, data, size, found);
  };
  if (!look_up<passwd>(look, entry, buffer)) return std::nullopt;
  return entry.pw_uid;
}

std::optional<gid_t> find_group(const std::string& name) {
  group entry{};
  std::vector<char> buffer;
  const auto look = [&](group* into, char* data, std::size_t size, group** found) {
    return ::getgrnam_r(name.c_str(), into, data, size, found);
  };
  if (!look_up<group>(look, entry, buffer)) return std::nullopt;
  return entry.gr_gid;
}

Owners::Owners(const repository::Manifest& manifest, const Options& options, Ids fallback)
    : root_(::geteuid() == 0) {
  if (!root_) return;
  if (options.owner) {
    forced_ = Ids{options.owner->uid, options.owner->gid};
    return;
  }
  std::map<std::string_view, std::optional<uid_t>> users;
  std::map<std::string_view, std::optional<gid_t>> groups;
  std::set<std::string> unknown_users;
  std::set<std::string> unknown_groups;
  for (const auto& [user, group] : manifest.owners) {
    const auto [known_user, new_user] = users.try_emplace(user);
    if (new_user) known_user->second = find_user(std::string(user));
    if (!known_user->second) unknown_users.insert(printable(user));
    const auto [known_group, new_group] = groups.try_emplace(group);
    if (new_group) known_group->second = find_group(std::string(group));
    if (!known_group->second) unknown_groups.insert(printable(group));
    ids_.push_back(
        {known_user->second.value_or(fallback.user), known_group->second.value_or(fallback.group)});
  }
  for (const auto& name : unknown_groups)
    warnings_.push_back(name.empty() ? notice("group_nameless") : notice("group_unknown", name));
  for (const auto& name : unknown_users)
    warnings_.push_back(name.empty() ? notice("user_nameless") : notice("user_unknown", name));
}

std::optional<Ids> Owners::ids(std::uint32_t owner) const {
  if (!root_) return std::nullopt;
  return forced_ ? *forced_ : ids_.at(owner);
}

}  // namespace pgrevive::restore
