#pragma once

#include <string>
#include <vector>

#include "cluster/configuration.h"
#include "cluster/node_record.h"
#include "cluster/site.h"

// The files that make a data directory run as a node of ours.
namespace pgrevive::cluster {

// What the node's configuration is made of, read from its data directory; `recovery`, archiving and
// the like are the caller's to add. Takes the source's postgresql.auto.conf out of the data
// directory the first time, since PostgreSQL lets it win over every other file.
NodeConfiguration describe_node(Site& site, const std::string& node, Stage stage,
                                const NodeRecord& record);

// For a copy of the primary, which has the source's settings that the primary has. What ALTER
// SYSTEM has changed since came along with the data, and stays.
void share_source_settings(const Site& site, const std::string& node);

// Before 13 PostgreSQL puts it together in 1024 bytes and runs what fits in. Throws Error{usage}
// for one that is longer. Pure.
void check_restore_command(const std::string& command, postgres::Version version);

// Writes postgresql.conf, pg_hba.conf, pg_ident.conf (recovery.conf before PostgreSQL 12). Settings
// of the source that this server's binaries refuse are left out and reported.
void write_configuration(Site& site, NodeConfiguration& node, const NodeRecord& record);

// Makes the data directory start as a standby; or not. Throws where a file that says otherwise
// cannot be removed.
void set_standby(Site& site, const std::string& node, bool standby);
bool is_standby(Site& site, const std::string& node);

postgres::ServerOptions server_options(Site& site, const std::string& node);
postgres::ControlFile load_control_file(const std::filesystem::path& data_directory);

// "pg_wal"; "pg_xlog" before PostgreSQL 10.
std::filesystem::path wal_directory(const Site& site, const std::string& node);

// Tablespaces of the node that lie in places outside of the cluster's own directory and of those of
// TABLESPACE_MAP: made later, by somebody or by WAL of the source, which names places of the
// source's host.
std::vector<std::filesystem::path> outside_tablespaces(const StateDirectory& directory,
                                                       const std::string& node);

}  // namespace pgrevive::cluster
