#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/bring_up.h"
#include "cluster/settings.h"
#include "cluster/space.h"
#include "cluster/state_directory.h"
#include "repository/manifest.h"

namespace pgrevive::cluster {

// What a node of a backup takes, and where.
struct NodeSize {
  struct Tablespace {
    std::string name;  // empty: the backup does not say it
    std::uint64_t bytes = 0;
  };

  std::uint64_t bytes = 0;                          // of all
  std::map<std::uint32_t, Tablespace> tablespaces;  // of that, by OID

  // Of what is restored of the backup; `left_out` are OIDs of databases, ascending.
  static NodeSize of(const repository::Manifest& manifest,
                     const std::vector<std::uint32_t>& left_out);
  // One for each file system that the node has a part on.
  std::vector<Demand> demands(const Settings& settings, const StateDirectory& directory,
                              const std::string& node) const;
};

// Of the nodes that are to be made. The manifest, which may be large, is read where databases are
// left out, and where a node's tablespaces lie, or are to lie, elsewhere than its data directory.
NodeSize size_of_nodes(const Settings& settings, const StateDirectory& directory,
                       const std::vector<std::string>& nodes, const ChosenBackup& chosen);

}  // namespace pgrevive::cluster
