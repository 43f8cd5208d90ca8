#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cluster/bring_up.h"
#include "cluster/outlook.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What the archive beside that backup says about the target of the settings.
Outlook look_ahead(const Settings& settings, const ChosenBackup& chosen, bool exact);

// What `start` would do, without anything of it.
struct Preview {
  enum class Work {
    restore,     // all that stands below
    new_empty,   // RESTORE_FROM_BACKUP=false: initdb
    start_only,  // the primary is there already
  } work = Work::restore;
  std::optional<repository::Backup> backup;
  std::string repository;  // "s3://bucket/path"
  std::string target;      // "latest", "time ..."
  std::uint64_t nodes = 0;
  std::uint64_t node_bytes = 0;   // of each, without what DB_INCLUDE and DB_EXCLUDE leave out
  std::uint64_t fetch_bytes = 0;  // of the backup, as stored
  std::uint64_t free_bytes = 0;   // where the nodes go
  Outlook outlook;
  std::optional<TargetPoint> point;  // of a target of name or xid
  std::string point_text;
  // From a sample of the backup; empty: it did not tell.
  std::optional<double> bytes_per_second;
  std::optional<std::chrono::seconds> fetch_time;  // of the backup
  // At kReplayRate: how fast WAL is replayed depends on what is in it, and nothing here knows.
  std::optional<std::chrono::seconds> replay_time;
};

inline constexpr double kReplayRate = 100e6;  // bytes of WAL a second

// Reads of the repository what it needs, and writes nothing anywhere. Throws what keeps it from
// knowing; that the target is out of reach is in the outlook.
Preview make_preview(Settings settings, const StateDirectory& directory,
                     const PointWatch& watch = {});

std::string to_text(const Preview& preview, const std::string& cluster_name);
std::string to_json(const Preview& preview);

}  // namespace pgrevive::cluster
