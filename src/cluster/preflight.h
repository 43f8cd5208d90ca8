#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "cluster/bring_up.h"
#include "cluster/marker.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "repository/backup_info.h"

namespace pgrevive::cluster {

// What can be known to be wrong before anything is written: a primary that is lost while a replica
// holds what it wrote, settings that do not go together, somebody else's server on a data
// directory, ports, programs, memory that cannot be had, the repository and its backup, disk space,
// locales, a target out of reach, an archive of its own that cannot be written. Throws Error that
// names the first. Puts the point of the target into `settings` (find_point()), and what is to be
// told of lines beside the one that is followed and of locales that are missing.
void preflight(Settings& settings, const StateDirectory& directory, const Marker& marker,
               const Identity& owner, const PointWatch& watch);

// The same for a cluster that takes the place of the one that is there: what runs of that one, and
// what its nodes hold, counts as gone. What is in its archives does not. Returns the backup that it
// will be made of. Search::known: `settings` have the point already.
enum class Search { needed, known };
ChosenBackup preflight_anew(Settings& settings, const StateDirectory& directory,
                            const Marker& marker, const Identity& owner, const PointWatch& watch,
                            Search search);
// What can have changed since: asks nothing of the repository, whose answer is known.
void preflight_cleared(const Settings& settings, const StateDirectory& directory,
                       const ChosenBackup& chosen);

// Its rules one by one, for `doctor`, which wants to see them all. None changes anything; each
// throws Error that says what is wrong, with a remedy.

// The user whom the servers run as.
Identity find_owner();

// The marker of the state directory, empty where there is none yet. Throws where the directory is
// somebody else's.
std::optional<Marker> check_directory(const Settings& settings, const StateDirectory& directory,
                                      const Identity& owner);

// Whether the recovery target can make a cluster.
void check_target(const Settings& settings);

// Whether the cluster's own archive can be where the settings say. Does not try to write there:
// probe_own_archive() does.
void check_own_archive(const Settings& settings, const StateDirectory& directory);

// Whether the settings fit a cluster that is there already: its WAL must not be led to where nobody
// looks for it, or where another's is. Looks into the archive only where the settings name another
// than before.
void check_what_was_made(const Settings& settings, const StateDirectory& directory);

// Whether the installed pgBackRest can archive a server of that version, until it was seen to.
void check_archiver(const Settings& settings, const StateDirectory& directory,
                    postgres::Version version);

// A port that something of the cluster will listen on.
struct WantedPort {
  std::string user;     // "primary", "replica-2", "Adminer", "the console"
  std::string setting;  // "POSTGRES_PRIMARY_PORT"
  std::string addresses;
  int port = 0;
};
// The servers' in order of node_names(), then Adminer's and the console's, unless these are
// containers of their own. Throws Error{usage} where two want the same.
std::vector<WantedPort> wanted_ports(const Settings& settings);
// Throws Error{busy} where somebody listens there, be it ourselves.
void check_port(const WantedPort& wanted);

// What the nodes that are still to be restored take of one file system.
struct SpaceNeed {
  std::filesystem::path directory;  // somewhere on it, for messages
  std::uint64_t nodes = 0;
  std::uint64_t bytes = 0;  // of all of them
  std::uint64_t free_bytes = 0;
  bool elsewhere = false;  // than the cluster's own directory
};
std::vector<SpaceNeed> space_needs(const Settings& settings, const StateDirectory& directory,
                                   const ChosenBackup& chosen);
void check_space(const SpaceNeed& need);

enum class NodesToMake { missing, all };

// Whether TABLESPACE_MAP fits the backup, and we, who have to be who the servers run as, can write
// where it leads, where nobody else's tablespace is.
void check_tablespace_map(const Settings& settings, const StateDirectory& directory,
                          const ChosenBackup& chosen, NodesToMake which);

// Whether a server can have its shared_buffers here. To try is to ask the system for those of all
// nodes at once, which it may not give while the servers of this cluster have theirs.
enum class Mapping { tried, not_tried };
void check_memory(const Settings& settings, Mapping mapping);

// Whether the primary is whole.
bool has_primary(const StateDirectory& directory);
// Whether there is a backup to restore: not once it is.
bool needs_restore(const Settings& settings, const StateDirectory& directory);

}  // namespace pgrevive::cluster
