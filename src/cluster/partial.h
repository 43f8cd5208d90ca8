#pragma once

#include <cstdint>
#include <vector>

#include "cluster/node_record.h"
#include "cluster/settings.h"
#include "cluster/site.h"
#include "postgres/connection.h"
#include "repository/repository.h"
#include "restore/databases.h"

// A cluster that is made of some of its source's databases (DB_INCLUDE, DB_EXCLUDE).
namespace pgrevive::cluster {

// What a cluster with this choice takes of a backup in `repository`. Throws Error{usage} for a
// database that the backup does not have, and for a choice that a cluster cannot do with: without
// the system's own databases, or without POSTGRES_DB. An offline backup does not know how its
// databases are called; then its pg_database is read.
struct PartialBackup {
  std::vector<restore::Database> left_out;
  std::uint64_t bytes = 0;         // of each node
  std::uint64_t stored_bytes = 0;  // of that, in the repository
};
PartialBackup check_choice(const Settings& settings, const repository::Repository& repository,
                           const repository::Manifest& manifest);

// Those that are in the catalog still, under the names they have now.
std::vector<restore::Database> still_there(postgres::Connection& connection,
                                           const std::vector<restore::Database>& left_out);

// On the running primary, and safe to do again: removes the subscriptions of what was left out,
// which would keep it from being dropped; drops it, with DB_DROP_LEFT_OUT, or tells of it.
// The record keeps what is still there: one day another database may have the OID of what is gone.
void settle_left_out(Site& site, postgres::Connection& connection, NodeRecord& record);

}  // namespace pgrevive::cluster
