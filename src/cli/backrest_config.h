#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repository/open.h"

// pgBackRest's own configuration, read as pgBackRest reads it: sections [global],
// [global:COMMAND], [STANZA], [STANZA:COMMAND], each stronger than the one before it, then
// PGBACKREST_* of the environment, stronger than any file.
namespace pgrevive::cli {

// Names of options are the current ones with their index ("repo1-s3-bucket"), however old the
// spelling in the file was.
struct BackrestConfig {
  // What counts for one stanza and one command. The values of a list have a newline between them.
  std::map<std::string, std::string> options;
  std::vector<std::string> stanzas;   // sections that are stanzas, in order of name
  std::vector<std::string> warnings;  // unknown names, with file and line

  const std::string* find(const std::string& name) const;
};

// One file's text and its name for messages.
struct BackrestText {
  std::string path;
  std::string text;
};

using Environment = std::map<std::string, std::string>;

// Pure. `stanza` may be empty: then only the global sections count. Throws Error{usage} with file
// and line for what pgBackRest would refuse.
BackrestConfig parse_backrest_config(const std::vector<BackrestText>& files,
                                     const Environment& environment, const std::string& stanza,
                                     const std::string& command);

// Reads `file` and, where the file or the environment say so or it is the default file, the
// *.conf files of the include directory in order of name.
//
// An empty `file` means what pgBackRest does without --config: PGBACKREST_CONFIG, else
// /etc/pgbackrest/pgbackrest.conf with /etc/pgbackrest/conf.d, else /etc/pgbackrest.conf.
BackrestConfig load_backrest_config(const std::filesystem::path& file,
                                    const Environment& environment, const std::string& stanza,
                                    const std::string& command);

// The repositories it names, repo1 first, each with its index. Throws Error{usage} for values that
// cannot be and Error{unsupported} for storages that we do not read, only where no repository is
// left that we do; those left out are named in `warnings`.
struct IndexedRepository {
  int index = 1;
  repository::RepositoryOptions options;
};
std::vector<IndexedRepository> repositories_of(const BackrestConfig& config,
                                               const std::string& stanza,
                                               std::vector<std::string>& warnings);

// process-max, where it is set.
std::optional<unsigned> process_max_of(const BackrestConfig& config);

// What `restore` takes from it beside: db-include, db-exclude, archive-mode.
struct BackrestRestore {
  std::vector<std::string> db_include;
  std::vector<std::string> db_exclude;
  std::string archive_mode;
};
BackrestRestore restore_options_of(const BackrestConfig& config);

// The PGBACKREST_* variables of this process.
Environment backrest_environment();

}  // namespace pgrevive::cli
