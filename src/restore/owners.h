#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/notice.h"
#include "repository/manifest.h"
#include "restore/options.h"

namespace pgrevive::restore {

struct Ids {
  uid_t user = 0;
  gid_t group = 0;
};

// Who shall own what on this host. Names are looked up here and not for every file. Immutable.
//
// Only root can give files away: for anyone else ids() is empty and everything belongs to whoever
// runs the restore. Names that the backup did not know, or that this host does not know, become
// `fallback`.
class Owners {
 public:
  Owners(const repository::Manifest& manifest, const Options& options, Ids fallback);

  // `owner` is an index into the manifest's owners.
  std::optional<Ids> ids(std::uint32_t owner) const;
  const std::vector<Notice>& warnings() const { return warnings_; }

 private:
  bool root_;
  std::optional<Ids> forced_;
  std::vector<Ids> ids_;
  std::vector<Notice> warnings_;
};

std::optional<uid_t> find_user(const std::string& name);
std::optional<gid_t> find_group(const std::string& name);

}  // namespace pgrevive::restore
