#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/backrest_config.h"

// Where a command finds its repositories, whichever of the ways to say so was used.
namespace pgrevive::cli {

// The options that every command takes.
struct GlobalOptions {
  std::filesystem::path env_file;  // --env-file
  std::string cluster;             // --cluster
  std::filesystem::path config;    // --config
  std::string stanza;              // --stanza
};

// What the commands that read a repository take beside them.
struct RepositoryWords {
  std::string repo_type;                   // --repo-type, with --repo-path
  std::filesystem::path repo_path;         // --repo-path
  std::filesystem::path cipher_pass_file;  // --cipher-pass-file, with --repo-path
  std::optional<int> repo;                 // --repo: this one only
};

struct Source {
  std::vector<IndexedRepository> repositories;  // at least one
  std::optional<unsigned> process_max;
  BackrestRestore restore;  // where it was a pgbackrest.conf
  std::vector<std::string> warnings;
  std::vector<std::string> recovery_warnings;  // of use only where a server is to recover with it
  // The options that have `archive-get` find the same source again, from any directory. Holds no
  // secret.
  std::vector<std::string> words;
  // Files that archive-get will have to read.
  std::vector<std::filesystem::path> files;
};

// In this order: --repo-path, --config, --env-file or the .env that is there, pgBackRest's own
// default configuration. `command` chooses the sections of a pgbackrest.conf that count.
Source load_source(const GlobalOptions& global, const RepositoryWords& words,
                   const std::string& command);

// The .env to read where none was named: PGREVIVE_ENV_FILE, else .env in the working directory.
// Empty if it does not exist.
std::filesystem::path default_env_file();

// The stanza that was asked for, else PGBACKREST_STANZA, else the only one the configuration has.
std::string choose_stanza(const std::string& asked, const Environment& environment,
                          const std::vector<std::string>& configured);

}  // namespace pgrevive::cli
