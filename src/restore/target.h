#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/notice.h"
#include "repository/manifest.h"
#include "restore/options.h"

namespace pgrevive::restore {

// Where one node's part of the backup goes. roots[0] is the data directory, roots[i] the directory
// of the tablespace Layout::tablespaces[i - 1].
struct NodeLayout {
  std::string name;
  std::vector<std::filesystem::path> roots;

  const std::filesystem::path& data_directory() const { return roots.front(); }
};

// A manifest name as a root and a path below it; the path is empty for the root itself.
struct Place {
  std::size_t root = 0;
  std::string_view path;
};

// How the names of one manifest become directories of the nodes. Immutable.
struct Layout {
  std::vector<std::uint32_t> tablespaces;  // OIDs, ascending
  // "PG_15_202209061": the only part of a tablespace directory that belongs to this cluster, so
  // that clusters of several versions can share one.
  std::string tablespace_version;
  std::vector<NodeLayout> nodes;
  std::vector<Notice> warnings;
  // Files of the data directory that the restore does not touch.
  std::vector<std::string> preserved;
  // OIDs of the databases that are left out, ascending.
  std::vector<std::uint32_t> left_out;

  bool preserves(std::size_t root, std::string_view path) const;
  // Whether the restore makes this file. tablespace_map is not made: the links it would make at the
  // first start are made by the restore, to where this node has its tablespaces.
  bool restores(const repository::ManifestFile& file) const;
  // Whether it has to become a sparse file of zeros: all of a database that is left out, but for
  // its PG_VERSION.
  bool zeroes(const repository::ManifestFile& file) const;

  // Empty for "pg_tblspc", under which manifests list the tablespaces and which is no directory.
  // Throws Error{corrupt} for names that lead anywhere else.
  std::optional<Place> place(std::string_view manifest_name) const;
  // The name that place() takes back to `path` below `root`.
  std::string manifest_name(std::size_t root, std::string_view path) const;
  // The tablespace whose link a manifest name is ("pg_data/pg_tblspc/16385"), as a root.
  std::optional<std::size_t> linked_root(std::string_view manifest_name) const;
};

// What a tablespace's own directory is called where its node has a directory for all: its name, or
// its OID where the name cannot be one.
std::string tablespace_directory_name(std::uint32_t oid, std::string_view name);

// Decides where everything goes. Linked directories and files other than tablespaces become plain
// ones inside the data directory, with a warning, as pgBackRest does without --link-all.
//
// Throws Error{usage} for options that cannot be (relative paths, unknown tablespaces) and where a
// directory would coincide with or lie in another, on one node or between nodes. Looks at the file
// system only to see through symbolic links.
Layout make_layout(const repository::Manifest& manifest, const std::vector<NodeTarget>& nodes);

}  // namespace pgrevive::restore
