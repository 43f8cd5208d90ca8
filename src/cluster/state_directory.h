#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pgrevive::cluster {

// Where everything of one cluster lies. Nothing of a cluster is anywhere else, but for what
// pgBackRest writes into its own archive in a bucket.
//
//   <root>/pgrevive.json        marks the directory as ours; which cluster, since when, which owner
//   <root>/settings.json        what `start` was told (0600)
//   <root>/change.lock          who makes the cluster or throws it away
//   <root>/bin/                 the programs, as the servers call them
//   <root>/source.conf          pgbackrest.conf of the source, for archive-get (0600)
//   <root>/pgbackrest/          pgbackrest.conf of the cluster's own archive, its logs, lock, spool
//   <root>/archive/             its own archive, when that is local
//   <root>/run/                 sockets, locks, status.json (0700)
//   <root>/secrets/             generated passwords
//   <root>/adminer/
//   <root>/logs/                supervisor.log, prefetch.log, adminer.log, console.log
//   <root>/logs/restores.json   how the last restores went
//   <root>/logs/lag.json        how far replicas were behind over the last day
//   <root>/<node>/data          PGDATA
//   <root>/<node>/conf          postgresql.conf, pg_hba.conf, pg_ident.conf
//   <root>/<node>/logs          main-restore.log (named after the stanza), postgresql.log
//   <root>/<node>/tablespaces/  one directory for each tablespace
//   <root>/<node>/made-tablespaces     which ones the source's WAL made outside of here
//   <root>/<node>/pgrevive-node.json   which backup it was made of, its promotion
//   <root>/primary/collations.json     indexes that were built by another version of a collation
//   <root>/.<node>.gone/        a node whose removal is under way, or was cut off
//
// In containers the nodes lie on volumes of their own, beside each other, and the root is on one of
// them: <volumes>/<node>/pgdata, conf and so on, and <volumes>/primary/pgrevive is the root.
class StateDirectory {
 public:
  explicit StateDirectory(std::filesystem::path root) : root_(root), nodes_(std::move(root)) {}

  // Of a cluster in containers, as the one who sees the volume of `node` keeps it.
  static StateDirectory on_volume(const std::filesystem::path& volumes, const std::string& node);

  // PGREVIVE_HOME/NAME; without it /var/lib/pgrevive/NAME for root, and for others
  // $XDG_STATE_HOME/pgrevive/NAME or $HOME/.local/state/pgrevive/NAME. `home` is the value of
  // PGREVIVE_HOME, empty if unset.
  static StateDirectory locate(const std::string& cluster_name, const std::filesystem::path& home);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path marker() const { return root_ / "pgrevive.json"; }
  std::filesystem::path settings() const { return root_ / "settings.json"; }
  std::filesystem::path program() const { return root_ / "bin" / "pgrevive"; }
  // archive-get's client; not there where pgrevive was installed without it.
  std::filesystem::path archive_get() const { return root_ / "bin" / "pgrevive-archive-get"; }
  std::filesystem::path source_conf() const { return root_ / "source.conf"; }
  std::filesystem::path pgbackrest() const { return root_ / "pgbackrest"; }
  std::filesystem::path pgbackrest_conf() const { return root_ / "pgbackrest" / "pgbackrest.conf"; }
  std::filesystem::path archive() const { return root_ / "archive"; }
  std::filesystem::path run() const { return root_ / "run"; }
  std::filesystem::path supervisor_lock() const { return run() / "supervisor.lock"; }
  // There while `start --reindex` is not done.
  std::filesystem::path reindex_request() const { return run() / "reindex"; }
  // What somebody asks the supervisor to do (cluster/request.h).
  std::filesystem::path request() const { return run() / "request.json"; }
  // Held by who makes the cluster or throws it away (cluster/change_lock.h).
  std::filesystem::path change_lock() const { return root_ / "change.lock"; }
  std::filesystem::path status() const { return run() / "status.json"; }
  // What archive-get last answered that node while it recovered.
  std::filesystem::path wal_report(const std::string& name) const {
    return run() / (name + "-wal.json");
  }
  std::filesystem::path replication_passfile() const { return secrets() / "replication.pgpass"; }
  std::filesystem::path user_passfile() const { return secrets() / "user.pgpass"; }
  std::filesystem::path secrets() const { return root_ / "secrets"; }
  std::filesystem::path adminer() const { return root_ / "adminer"; }
  std::filesystem::path supervisor_log() const { return root_ / "logs" / "supervisor.log"; }
  // How the last restores went.
  std::filesystem::path restores() const { return root_ / "logs" / "restores.json"; }
  // What the console saw of the replicas' lag, for the next console.
  std::filesystem::path lags() const { return root_ / "logs" / "lag.json"; }
  std::filesystem::path prefetch_log() const { return root_ / "logs" / "prefetch.log"; }
  // Written at the primary's promotion: what replicas may take from the source (wal::Fork).
  std::filesystem::path fork() const { return root_ / "fork"; }

  std::filesystem::path node(const std::string& name) const { return nodes_ / name; }
  std::filesystem::path data(const std::string& name) const { return node(name) / data_name_; }
  std::filesystem::path conf(const std::string& name) const { return node(name) / "conf"; }
  std::filesystem::path logs(const std::string& name) const { return node(name) / "logs"; }
  // In the directory of a replica that is about to change places with the primary, and of the
  // primary until that is over (cluster/switchover.h).
  std::filesystem::path switching(const std::string& name) const {
    return node(name) / "switchover.json";
  }
  std::filesystem::path node_record(const std::string& name) const {
    return node(name) / "pgrevive-node.json";
  }
  // What wal::TablespaceGuard remembers of it.
  std::filesystem::path made_tablespaces(const std::string& name) const {
    return node(name) / "made-tablespaces";
  }
  // What in the databases depends on how this host orders texts.
  std::filesystem::path collations() const { return node("primary") / "collations.json"; }
  std::filesystem::path tablespaces(const std::string& name) const {
    return node(name) / "tablespaces";
  }
  // Whether a place is one of the cluster's own. Pure.
  bool holds(const std::filesystem::path& path) const;

 private:
  std::filesystem::path root_;
  std::filesystem::path nodes_;
  std::string data_name_ = "data";
};

// "primary", "replica", "replica-2", ... for a cluster with that many replicas.
std::vector<std::string> node_names(int replicas);

}  // namespace pgrevive::cluster
