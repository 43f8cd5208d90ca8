#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/settings.h"

// The .env file: NAME=value lines that say all there is to say about a cluster.
//
//   # a comment
//   S3_BUCKET=backups                # so is this, after a blank
//   export S3_REGION=us-east-1       # so that a shell can read the file too
//   POSTGRES_PASSWORD='pa#ss "word"' # between single quotes everything is itself
//   S3_PATH="/pg\"backrest"          # between double quotes \" \\ \$ \n \t are escapes
//
// Values are on one line; nothing is substituted in them. Windows line ends and a byte order mark
// are fine.
namespace pgrevive::cli {

// What is wrong in one line, with its remedy. Never holds a secret or a value that could be one.
struct EnvProblem {
  int line = 0;  // 0: something that is missing
  std::string text;
};

struct EnvEntry {
  std::string name;
  std::string value;
  int line = 0;
};

struct EnvFile {
  std::filesystem::path path;  // absolute; empty: there is no file and everything is at its default
  std::vector<EnvEntry> entries;
  std::vector<EnvProblem> problems;  // lines that could not be read, and doubled names

  const EnvEntry* find(std::string_view name) const;
};

// Pure; `path` is for messages and for relative file names in values.
EnvFile parse_env(std::string_view text, const std::filesystem::path& path);
// Throws Error{not_found} with the way to make one.
EnvFile load_env(const std::filesystem::path& path);

// Which parts must be there, because the command at hand uses them.
struct EnvNeeds {
  bool cluster = true;     // what the nodes are told: password, ports, sizes
  bool repository = true;  // where the backups are
};

// The file as checked settings. Throws one Error{usage} that lists everything that is wrong, each
// with line and remedy: placeholders left in, unknown names, values that cannot be, what is
// missing. What the command does not need is neither asked for nor checked.
cluster::Settings settings_from_env(const EnvFile& file, EnvNeeds needs);

// CLUSTER_NAME alone, or its default; for commands that need nothing else of the file.
std::string cluster_name_from_env(const EnvFile& file);

// Whether a name can be a cluster's: it becomes a directory. "" if so, else what is wrong.
std::string cluster_name_problem(std::string_view name);

// Every name the file may hold, in the order of the example file.
std::vector<std::string> env_names();

}  // namespace pgrevive::cli
