#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/source.h"
#include "repository/manifest.h"
#include "restore/options.h"
#include "restore/recovery.h"

namespace pgrevive::cli {

// What to recover, and how far, as written.
struct TargetWords {
  std::string set;
  std::string type = "default";
  std::string target;
  bool target_exclusive = false;
  std::string target_timeline;
  std::string target_action;
};

// What `restore` was called with, as written.
struct RestoreWords : TargetWords {
  RepositoryWords repository;
  std::vector<std::string> nodes;           // NAME=DIR
  std::vector<std::string> tablespace_map;  // ID=DIR or NODE:ID=DIR
  std::string tablespace_map_all;
  std::vector<std::string> db_include;  // names or OIDs
  std::vector<std::string> db_exclude;
  std::string archive_mode;  // "off", "preserve"; empty: preserve
  bool delta = false;
  unsigned jobs = 0;
  unsigned requests = 0;
  std::string memory;
};

// All throw Error{usage} that names the option. Pure but for making paths absolute, and for the
// host's time zone, which a time without one gets.
restore::RecoveryTarget recovery_target(const TargetWords& words);
// Says which moment a time in words stands for.
void tell_target(const TargetWords& words, const restore::RecoveryTarget& target);
// Likewise, with --archive-mode.
restore::RecoveryTarget restore_target(const RestoreWords& words);
restore::Options restore_options(const RestoreWords& words);

// The words, and what a pgbackrest.conf says where they say nothing.
RestoreWords with_configured(RestoreWords words, const BackrestRestore& configured);

// Replaces names of tablespaces in the maps of `options` by their OIDs, and refuses what the backup
// does not have.
void resolve_tablespaces(restore::Options& options,
                         const std::vector<repository::ManifestTarget>& targets);

}  // namespace pgrevive::cli
