#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace pgrevive {

// A user of the operating system, for a process to become.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::filesystem::path home;

  static Identity current();
  static std::optional<Identity> find(const std::string& user_name);
  static std::optional<Identity> find(uid_t uid);

  // `gid` and the supplementary groups, as a login of that user has them.
  std::vector<gid_t> groups() const;
};

}  // namespace pgrevive
