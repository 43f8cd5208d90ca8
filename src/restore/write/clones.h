#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace pgrevive::restore {

struct Node;

// For each node and root the node that writes the files of that root for it: itself, or an earlier
// one whose root lies on the same file system, where that can give two files the same blocks (xfs,
// btrfs). Then the first is written, and the others are clones, which costs nothing.
using Writers = std::vector<std::vector<std::size_t>>;

// Tries it out with a file that has no name.
Writers find_writers(const std::vector<Node>& nodes);

// Gives the empty file `to` the `size` bytes of `from`: as a clone, or as a copy where the file
// system does not want to any more. Throws Error{system} naming the path of `to`.
void clone_or_copy(int from, int to, std::uint64_t size,
                   const std::filesystem::path& path_for_messages);

}  // namespace pgrevive::restore
