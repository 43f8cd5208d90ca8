#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "restore/databases.h"

namespace pgrevive::restore {

// One data directory to make.
struct NodeTarget {
  std::string name;                      // "primary"; for messages and subdirectory names
  std::filesystem::path data_directory;  // absolute
  // Tablespace OID (as text) or name to directory. Tablespaces that are not named go to
  // `tablespace_root`/NAME if that is given, else where they were on the source.
  std::map<std::string, std::filesystem::path> tablespace_map;
  std::filesystem::path tablespace_root;
};

struct Options {
  std::vector<NodeTarget> nodes;  // at least one
  // Keep files whose size and SHA-1 are already right, and remove what the backup does not hold.
  // Without it a directory with anything in it is refused, but for one that an interrupted restore
  // of ours left: that is always continued.
  bool delta = false;
  // pgBackRest's --type=preserve: postgresql.auto.conf and the signal files (before version 12
  // recovery.conf) stay as they are on disk and do not count as content of a directory.
  bool preserve_recovery_settings = false;
  DatabaseChoice databases;  // all, unless it says otherwise
  unsigned jobs = 0;         // decoding threads; 0: one per processor
  unsigned requests = 0;     // being fetched at once; 0: as many as the storage likes
  // Ceiling for the manifest and all that is on its way from the repository to the disks, bytes; a
  // few hundred KiB for each job are the least.
  std::uint64_t memory = 256u << 20;
  // Owner of all that is written, when we are root and the manifest's owners shall not count.
  std::optional<Identity> owner;
  // Called for each node when all its files are there and before it can start: what is written now
  // (recovery settings, signal files) is durable and complete whenever pg_control is there.
  std::function<void(const NodeTarget&)> before_publish;
};

}  // namespace pgrevive::restore
