#include "restore/owners.h"

#include <cerrno>
#include <set>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/text.h"

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
    : root_(::geteuid() == 0), fallback_(fallback) {
  if (!root_) return;
  if (options.owner) {
    forced_ = Ids{options.owner->uid, options.owner->gid};
    return;
  }
  std::set<std::string> unknown;
  const auto add = [&](const repository::Owner& owner) {
    if (!users_.contains(owner.user)) {
      const auto id = find_user(std::string(owner.user));
      if (!id) unknown.insert("user " + printable(owner.user));
      users_.emplace(owner.user, id.value_or(fallback_.user));
    }
    if (!groups_.contains(owner.group)) {
      const auto id = find_group(std::string(owner.group));
      if (!id) unknown.insert("group " + printable(owner.group));
      groups_.emplace(owner.group, id.value_or(fallback_.group));
    }
  };
  for (const auto& path : manifest.paths) add(path.owner);
  for (const auto& link : manifest.links) add(link.owner);
  for (const auto& file : manifest.files) add(file.owner);
  for (const auto& name : unknown) {
    const bool nameless = name == "user " || name == "group ";
    warnings_.push_back(nameless
                            ? fmt::format("the backup does not know the {} of some files; they "
                                          "belong to {} of the data directory",
                                          trim(name), trim(name))
                            : fmt::format("{} of the backup is unknown on this host; its files "
                                          "belong to that of the data directory",
                                          name));
  }
}

std::optional<Ids> Owners::ids(const repository::Owner& owner) const {
  if (!root_) return std::nullopt;
  if (forced_) return forced_;
  const auto user = users_.find(owner.user);
  const auto group = groups_.find(owner.group);
  return Ids{user == users_.end() ? fallback_.user : user->second,
             group == groups_.end() ? fallback_.group : group->second};
}

}  // namespace pgrevive::restore
