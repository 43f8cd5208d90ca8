#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "repository/manifest.h"
#include "restore/options.h"

namespace pgrevive::restore {

struct Ids {
  uid_t user = 0;
  gid_t group = 0;
};

// Who shall own what on this host. Names are looked up once, so that the system's user database is
// not asked for every file. Immutable.
//
// Only root can give files away: for anyone else ids() is empty and everything belongs to whoever
// runs the restore. Names that the backup did not know, or that this host does not know, become
// `fallback`.
class Owners {
 public:
  Owners(const repository::Manifest& manifest, const Options& options, Ids fallback);

  std::optional<Ids> ids(const repository::Owner& owner) const;
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  bool root_;
  std::optional<Ids> forced_;
  Ids fallback_;
  std::unordered_map<std::string_view, uid_t> users_;
  std::unordered_map<std::string_view, gid_t> groups_;
  std::vector<std::string> warnings_;
};

std::optional<uid_t> find_user(const std::string& name);
std::optional<gid_t> find_group(const std::string& name);

}  // namespace pgrevive::restore
