#pragma once

#include "cluster/node_record.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// Makes the running primary what .env says: the user and its password, the database, the role and
// slots that replicas use; and keeps what came with the backup from acting on its own
// (subscriptions). Safe to run again.
void set_up_primary(Site& site, NodeRecord& record);

// The configuration of the primary once it is one, with or without an archive_command. Takes effect
// by reload where the server runs.
void configure_primary(Site& site, const NodeRecord& record, const std::string& archive_command);

// The files that psql and the replicas take passwords from.
void write_password_files(const Site& site);

}  // namespace pgrevive::cluster
