#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/fd.h"
#include "restore/marker.h"
#include "restore/nodes.h"
#include "restore/options.h"
#include "restore/report.h"
#include "restore/restore.h"

// What happens to the directories of the nodes before the first byte is fetched.
namespace pgrevive::restore {

// What was found in a node's data directory.
struct Found {
  DirectoryState state = DirectoryState::absent;
  std::optional<Marker> marker;

  // Whether files may be there that are worth keeping.
  bool has_files() const {
    return state != DirectoryState::absent && state != DirectoryState::empty;
  }
};

// Looks at every node, changes nothing. Throws where a node must not be written to: a server runs
// on it, its data or tablespace directory holds something that `options` and what an earlier
// restore left do not allow to replace.
std::vector<Found> inspect_nodes(const Layout& layout, const Options& options);

// Throws Error{system} where a file system has too little room for what is to be written on it,
// what is there already being replaced.
void check_space(const repository::Manifest& manifest, const Layout& layout,
                 const std::vector<Found>& found);

// Held while a restore writes to a data directory; ends with the process.
class DirectoryLock {
 public:
  // Throws Error{busy} where another restore has it.
  explicit DirectoryLock(const std::filesystem::path& data_directory);

 private:
  Fd fd_;
};

// One descriptor for each file system that is written to. They are opened before the first write,
// because a sync reports the errors that happened while its descriptor was open.
class FileSystems {
 public:
  void add(const Fd& directory, const std::filesystem::path& path);
  void sync() const;  // throws Error{system} if anything written was lost

 private:
  struct Point {
    Fd fd;
    std::filesystem::path path;
  };
  std::map<dev_t, Point> points_;
};

// Makes a node's data directory unable to start and says why in it: writes the marker, then takes
// pg_control away, both durably.
void begin_node(const Marker& marker, const std::filesystem::path& data_directory);

// Removes everything that the backup does not hold, and files that have another size than there.
// Never follows a link.
void clean_node(const Nodes& nodes, const Node& node, Report& report);

// Makes directories and tablespace links with their owners and modes.
void make_node_directories(const Nodes& nodes, const Node& node, FileSystems& file_systems);

// For each file of the manifest the nodes that need it. Files of the nodes in `has_files` whose
// SHA-1 is right are kept, and given the owner, mode and time of the backup. What the layout zeroes
// is always needed.
std::vector<NodeMask> survey(const Nodes& nodes, NodeMask has_files, unsigned jobs, Report& report,
                             std::stop_token stop);

}  // namespace pgrevive::restore
