#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "repository/manifest.h"
#include "restore/owners.h"
#include "restore/plan.h"
#include "restore/target.h"
#include "restore/tree.h"
#include "restore/write/clones.h"

namespace pgrevive::restore {

// Until a restore is whole its pg_control has this name, so that no server starts on it.
inline constexpr std::string_view kControlFile = "global/pg_control";
inline constexpr std::string_view kUnpublishedControlFile = "global/pg_control.pgrevive.tmp";

// The open directories of one node, by root of the Layout.
struct Node {
  const NodeLayout* layout = nullptr;
  std::vector<Tree> roots;
};

// Everything a worker needs to write a file. Immutable while workers run.
struct Nodes {
  const repository::Manifest& manifest;
  const Layout& layout;
  const Owners& owners;
  std::vector<Node> nodes;
  Writers writers;  // empty: every node is written

  // Where a file is written: its own place, but for pg_control.
  Place write_place(const repository::ManifestFile& file) const;
  // The node whose file is written for this one.
  std::size_t writer_of(std::size_t node, std::size_t root) const {
    return writers.empty() ? node : writers[node][root];
  }
  NodeMask all() const { return static_cast<NodeMask>((std::uint64_t{1} << nodes.size()) - 1); }
};

// Gives an open file or directory its owner and mode, in as few calls as that takes.
void set_owner_and_mode(int fd, const std::optional<Ids>& owner, mode_t mode,
                        const std::filesystem::path& path_for_messages);
void set_modified(int fd, std::int64_t seconds, const std::filesystem::path& path_for_messages);

}  // namespace pgrevive::restore
