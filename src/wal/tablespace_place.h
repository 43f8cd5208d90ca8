#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pgrevive::wal {

// What came of making the directory of a tablespace.
struct MadePlace {
  std::vector<std::filesystem::path> directories;  // that were not there, outermost first
  std::string obstacle;                            // why there is none; empty: there is
};

// Makes a directory that WAL names and this host has not, and those above it that are missing, all
// with mode 0700. One that is there already is left as it is, whatever it is.
//
// WAL is foreign bytes: nothing is made by root, at a path that is not plain, below one of
// `keep_out` (absolute; they need not exist), or where another program would take notice: in a
// database cluster or in a directory of ours. Links that are there are followed, as the server
// does, and it counts where they lead. What is made comes onto the disk before it returns; where
// not all of it can be made nothing is.
MadePlace make_place(const std::filesystem::path& place,
                     const std::vector<std::filesystem::path>& keep_out);

}  // namespace pgrevive::wal
