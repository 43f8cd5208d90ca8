#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/child_process.h"
#include "base/file.h"
#include "cluster/state_directory.h"
#include "postgres/version.h"

// What filling a node's volume and running a server on it have in common.
namespace pgrevive::cluster::containers {

// From here on this process is that user and can be no other.
void become(const Identity& identity);

// Docker makes a volume's directory for root.
void give(const std::filesystem::path& directory, const Identity& owner);

// Held by whoever works on the volume; empty if somebody else does. Every container sees it, which
// none does of another's processes. Removes the postmaster.pid that a server of ours has left there,
// whose end it proves, and throws Error{busy} over that of any other server, which may be running in
// a container of its own.
std::optional<FileLock> lock_volume(const std::string& node);

// There while an old cluster makes way for a new one: what the new one is told, as its state
// directory will have it.
StateDirectory told_anew(const StateDirectory& directory);
bool makes_way(const StateDirectory& directory);

// Whole, and with all that its container needs.
bool is_made(const StateDirectory& directory, const std::string& node);

// The servers for that volume, which may have been filled by another image.
std::filesystem::path binaries_of_image(postgres::Version version);

}  // namespace pgrevive::cluster::containers
