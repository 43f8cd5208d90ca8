#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "repository/manifest.h"

// Where a person wants the tablespaces of the nodes, beside other disks than that of the cluster's
// directory: TABLESPACE_MAP, TABLESPACE_MAP_ALL. No part of a cluster is in the named directory
// itself, but in one of its own there, so that nodes and clusters can share a disk:
// /ssd/postgres-cluster-primary/fast.
namespace pgrevive::cluster {

struct TablespaceMap {
  struct Entry {
    std::string node;        // "primary"; empty: each
    std::string tablespace;  // an OID or a name
    std::filesystem::path directory;
  };
  std::vector<Entry> entries;  // TABLESPACE_MAP; one of a node counts before one of each
  std::filesystem::path all;   // TABLESPACE_MAP_ALL, for what no entry names

  bool empty() const { return entries.empty() && all.empty(); }
  // Each of the directories once.
  std::vector<std::filesystem::path> directories() const;
  // The place of a node's tablespace, another one where it is `taken`: two nodes that changed
  // places have kept theirs. Nothing where it is left to the cluster. Pure.
  std::optional<std::filesystem::path> place_of(
      const std::string& cluster_name, const std::string& node, std::uint32_t oid,
      const std::string& name, const std::vector<std::filesystem::path>& taken = {}) const;
};

// What a restore is told of a node (restore::NodeTarget::tablespace_map). Pure.
std::map<std::string, std::filesystem::path> mapped_tablespaces(
    const TablespaceMap& map, const std::string& cluster_name, const std::string& node,
    const std::vector<repository::ManifestTarget>& targets,
    const std::vector<std::filesystem::path>& taken);

// Throws Error{usage} for a tablespace that the backup does not have, and for one that is named
// twice, by its OID and by its name. Pure.
void check_tablespaces(const TablespaceMap& map,
                       const std::vector<repository::ManifestTarget>& targets);

// Throws where one of the directories is not there (a disk that is not mounted must not become a
// part of another one), where we cannot write into it, and where it lies in `root`, the cluster's
// own directory, which a cleanup removes, or in `repository`.
void check_directories(const TablespaceMap& map, const std::filesystem::path& root,
                       const std::filesystem::path& repository);

}  // namespace pgrevive::cluster
