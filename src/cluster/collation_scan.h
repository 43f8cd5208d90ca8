#pragma once

#include <string>
#include <vector>

#include "cluster/access.h"
#include "cluster/collations.h"
#include "postgres/connection.h"

namespace pgrevive::cluster {

// Looks into every database of a running primary. Throws Error{postgres} only where the server
// cannot be asked at all; what is wrong with one database is in its findings. Those with an OID of
// `except` are not looked into.
CollationFindings scan_collations(const Access& access, int port,
                                  const std::vector<std::uint32_t>& except);

// The one database that is of that name; empty findings where there is none.
DatabaseFindings scan_database(const Access& access, int port, const std::string& database);

// Rows that lie in another partition than they now would.
struct MisplacedRows {
  std::vector<std::string> partitions;  // "schema.partition" of each that holds such
  // Tables whose bounds call what others than superusers have made: the connection is a
  // superuser's, and does not.
  std::vector<std::string> unknown;
};
// Reads all of these tables, and no index, whose order may be the one that is not this host's.
MisplacedRows misplaced_rows(postgres::Connection& connection,
                             const std::vector<AffectedTable>& partitioned);

}  // namespace pgrevive::cluster
