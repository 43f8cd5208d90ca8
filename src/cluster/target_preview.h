#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "cluster/outlook.h"
#include "cluster/target_point.h"
#include "repository/open.h"

namespace pgrevive::cluster {

inline constexpr double kReplayRate = 100e6;  // bytes of WAL a second

// What recovering a backup of one repository to a target would be, whoever does it.
struct TargetPreview {
  repository::Backup backup;
  std::string repository;                        // "s3://bucket/path"
  std::string target;                            // "latest", "time ..."
  std::uint64_t node_bytes = 0;                  // of each node's files
  std::uint64_t fetch_bytes = 0;                 // of the backup, as stored
  std::optional<std::uint64_t> wal_fetch_bytes;  // likewise; empty: not known, or none
  Outlook outlook;
  std::optional<TargetPoint> point;  // of a target of name or xid
  std::string point_text;
  // From a sample of the backup; empty: it did not tell.
  std::optional<double> bytes_per_second;
  std::optional<std::chrono::seconds> fetch_time;  // of the backup
  // At kReplayRate: how fast WAL is replayed depends on what is in it, and nothing here knows. It
  // is fetched meanwhile, and where that takes longer it is as long as that.
  std::optional<std::chrono::seconds> replay_time;
};

// Of the whole backup. `outlook`, `point` and `wal_fetch_bytes` are what look_ahead(),
// look_up_point() and stored_wal() said of it.
TargetPreview preview_target(const repository::RepositoryOptions& repository,
                             const repository::Backup& backup,
                             const restore::RecoveryTarget& target, Outlook outlook,
                             std::optional<TargetPoint> point,
                             std::optional<std::uint64_t> wal_fetch_bytes);
// Only that much of the backup is wanted, of which that much is fetched.
void narrow(TargetPreview& preview, std::uint64_t bytes, std::uint64_t stored_bytes);
// How long it will take, at the rate of a sample that is read of the backup for three seconds at
// most. Nothing where the target cannot be reached. Throws nothing: what reads in earnest will say
// why it cannot.
void estimate(TargetPreview& preview, const repository::RepositoryOptions& repository);

// A line each; `write` says what would be written, and where.
std::string to_text(const TargetPreview& preview, std::string_view write);
nlohmann::ordered_json to_value(const TargetPreview& preview);
// Of what is refused: message, hint, exit code.
nlohmann::ordered_json problem_value(const Error& problem);

}  // namespace pgrevive::cluster
