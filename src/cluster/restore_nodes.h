#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/node_record.h"
#include "cluster/site.h"
#include "repository/backup_label.h"
#include "restore/databases.h"

namespace pgrevive::cluster {

// What nodes are made of.
struct BackupToRestore {
  repository::BackupLabel label;
  restore::DatabaseChoice databases;
  std::optional<SourceState> source_newest;  // as NodeRecord keeps it
  FurthestEnd furthest;                      // likewise
  bool after_promotion = false;              // likewise
  std::string made_because;                  // likewise
};

// Restores that backup of the source to all of them in one pass, each with a record that says so.
// What an interrupted run left is continued.
void restore_nodes(Site& site, const std::vector<std::string>& nodes, const BackupToRestore& what);

// The choice of databases that makes of the same backup what that node was made of.
restore::DatabaseChoice same_databases(const NodeRecord& record);

}  // namespace pgrevive::cluster
