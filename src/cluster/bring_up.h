#pragma once

#include "cluster/site.h"

namespace pgrevive::cluster {

// What became of bringing a cluster up. Failures before the primary is one throw.
struct BroughtUp {
  // A replica could not be joined; the primary runs and is worth watching.
  std::optional<Error> replica_failure;
};

// From whatever state the directories are in to a primary with its replicas streaming, one
// next_step() after the other.
BroughtUp bring_up(Site& site);
// The primary's part of it.
void bring_up_primary(Site& site);
// One replica's, whose primary is set up and runs.
void bring_up_replica(Site& site, const std::string& node);
// Keeps what archive-get is to know of the source, as the settings have it now.
void write_source_conf(const Site& site);

// The version of PostgreSQL this cluster is or will be: of its data directory, else of the backup
// to restore, else the newest installed.
postgres::Version cluster_version(const Settings& settings, const StateDirectory& directory);
// Where its programs are (postgres::find_binaries). They are run to be asked, by root as the user
// who will run the servers: the settings may be what that user has written.
std::filesystem::path cluster_binaries(const Settings& settings, postgres::Version version);

// The backup to restore: of a target of name or xid the one that leads to the point of `settings`,
// where that is known. Reads the repository.
struct ChosenBackup {
  repository::BackupInfo info;
  repository::Backup backup;
};
ChosenBackup choose_backup(const Settings& settings);
// The cluster that the backup is of. Throws Error{corrupt} where backup.info does not know it.
const repository::DatabaseHistory& database_of(const ChosenBackup& chosen);
// The backup an interrupted or half-done cluster is made of; empty: a new one will be chosen.
std::optional<std::string> label_under_way(const Settings& settings,
                                           const StateDirectory& directory);
// Where a target of name or xid lies, put into `settings`: found by an earlier start that was told
// the same, or in the WAL of the archive (look_up_point()). Nothing to be found where the target is
// another one, or no backup is to be restored. Returns why it cannot be reached.
std::optional<Error> find_point(Settings& settings, const StateDirectory& directory,
                                const PointWatch& watch, bool again = false);
// That one, or a new one.
ChosenBackup backup_for(const Settings& settings, const StateDirectory& directory);

}  // namespace pgrevive::cluster
