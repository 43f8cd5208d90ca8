#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "cli/source.h"
#include "wal/prefetcher.h"

namespace pgrevive::cli {

// What `prefetch` was called with, as written.
struct PrefetchWords {
  RepositoryWords repository;
  std::vector<std::string> nodes;  // NAME=DIR
  std::vector<std::string> forks;  // NAME=FILE
  std::string from;
  std::string spool_size = "1GiB";
  bool guard_tablespaces = false;
  unsigned jobs = 0;
  pid_t parent = 0;  // --with-parent; 0: none
};

// The nodes with their fork files. Throws Error{usage} that names the option.
std::vector<wal::PrefetchedNode> prefetched_nodes(const PrefetchWords& words);

// Throws Error{usage} where the size is none.
std::uint64_t spool_bytes(const PrefetchWords& words);

}  // namespace pgrevive::cli
