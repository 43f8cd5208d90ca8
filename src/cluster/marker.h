#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/child_process.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// pgrevive.json: what makes a state directory ours.
struct Marker {
  std::string cluster_name;
  std::int64_t created_ms = 0;
  uid_t owner = 0;  // whom everything below belongs to, and as whom the servers run
  std::string owner_name;
  // Usually <root>/run. A socket's path must fit into 107 bytes, so a deep root has a short
  // directory elsewhere.
  std::filesystem::path socket_directory;
  // Ends the name of its own archive in a bucket; the time it was made. Empty in markers of before
  // there was such an ending.
  std::string archive_suffix;
  // When its primary could first be written to; 0: not yet.
  std::int64_t opened_ms = 0;

  // Empty where there is no marker. Throws Error{corrupt} for one that cannot be read.
  static std::optional<Marker> load(const StateDirectory& directory);
  void save(const StateDirectory& directory) const;
};

// The mark of a cluster that is made at that time (Unix milliseconds). Pure.
Marker make_marker(const std::string& cluster_name, const StateDirectory& directory,
                   const Identity& owner, std::int64_t now_ms);

// Where the sockets of a cluster go. Pure.
std::filesystem::path choose_socket_directory(const StateDirectory& directory, uid_t owner);

// From now on somebody may have written to the primary. Nothing where that was known.
void note_opened(const StateDirectory& directory);

// The marker of a directory that must be one of ours. Throws Error{not_found} where there is none.
Marker load_marker(const StateDirectory& directory);

}  // namespace pgrevive::cluster
