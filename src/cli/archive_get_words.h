#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/source.h"

namespace pgrevive::cli {

// What `archive-get` was called with.
struct ArchiveGetWords {
  GlobalOptions global;
  RepositoryWords repository;
  std::filesystem::path fork;            // --fork
  std::string line;                      // --line
  std::filesystem::path own_config;      // --own-config
  std::filesystem::path report;          // --report
  std::filesystem::path tablespaces;     // what --guard-tablespaces names
  std::filesystem::path keep_out;        // what --make-tablespaces-outside names
  std::filesystem::path data_directory;  // --data-directory; empty: the working directory
  std::string name;                      // %f
  std::filesystem::path destination;     // %p
};

// Options as "--name value" or "--name=value", before or after the two names. Throws Error{usage}.
ArchiveGetWords parse_archive_get(const std::vector<std::string>& words);

}  // namespace pgrevive::cli
