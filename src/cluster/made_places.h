#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/site.h"
#include "cluster/state_directory.h"

// Directories outside of the cluster's own that are a node's all the same: made for tablespaces of
// the source's WAL (wal::TablespaceGuard), or where TABLESPACE_MAP has put those of the backup.
// They go with the node.
namespace pgrevive::cluster {

// What a server keeps in such places, of a node that may have been set aside.
struct NodeParts {
  std::filesystem::path data;
  std::filesystem::path memory;  // StateDirectory::made_tablespaces()

  static NodeParts of(const StateDirectory& directory, const std::string& node);
};

// Those that a tablespace of the node is in.
std::vector<std::filesystem::path> made_places(const NodeParts& node);
// Of these, those of TABLESPACE_MAP.
std::vector<std::filesystem::path> mapped_places(const NodeParts& node);

// Those of all other nodes.
std::vector<std::filesystem::path> mapped_places_beside(const StateDirectory& directory,
                                                        const std::string& node);

// Throws Error{target_not_empty} where one of the places holds anything, unless it is among `ours`:
// clusters with the same name may share a disk, and what is remembered as a node's is removed with
// it.
void refuse_others_places(const std::string& node, const std::vector<std::filesystem::path>& places,
                          const std::vector<std::filesystem::path>& ours);

// Makes the places of a node that is about to be made, and its data directory, for which they are
// remembered. Throws what refuse_others_places() does, before anything is made.
void make_mapped_places(Site& site, const std::string& node,
                        const std::vector<std::filesystem::path>& places);

struct RemovedPlaces {
  std::vector<std::filesystem::path> removed;
  std::vector<std::string> kept;  // "PATH, why"
};

// Takes out of them what the node's server has put there, where its links say that it is its own,
// and then those that are empty. What somebody else has there stays, and so does what cannot be
// removed, as on a disk that is not mounted; of a copy of the node all stays. To be asked while the
// node's data is still there.
RemovedPlaces remove_made_places(const NodeParts& node);
// The same, and the memory of it, for a node that is made anew; tells what stays.
void forget_made_places(Site& site, const std::string& node);

// Tells a person of those that WAL had made for the primary.
void warn_of_made_places(Site& site);

}  // namespace pgrevive::cluster
