#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repository/manifest.h"
#include "restore/target.h"

namespace pgrevive::restore {

// The file that says that a restore of ours is under way in a data directory.
inline constexpr std::string_view kMarker = "pgrevive.restore";

// What it records.
struct Marker {
  std::string label;
  std::string stanza;
  std::uint64_t system_id = 0;
  std::string node;
  // Of this node: the tablespace directories that belong to the same restore.
  std::vector<std::filesystem::path> tablespaces;

  static Marker of(const std::string& stanza, const repository::Manifest& manifest,
                   const NodeLayout& node);
  std::string text() const;  // JSON
};

// Empty where there is none. A marker that is not whole gives a Marker without a label: a restore
// was begun there all the same.
std::optional<Marker> load_marker(const std::filesystem::path& data_directory);

}  // namespace pgrevive::restore
