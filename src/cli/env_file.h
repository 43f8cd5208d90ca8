#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The .env file: NAME=value lines that say all there is to say about a cluster.
//
//   # a comment
//   S3_BUCKET=backups                # so is this, after a blank
//   export S3_REGION=us-east-1       # so that a shell can read the file too
//   POSTGRES_PASSWORD='pa#ss "word"' # between single quotes everything is itself
//   S3_PATH="/pg\"backrest"          # between double quotes \" \\ \$ \n \t are escapes
//
// A secret may be in a file of its own, which NAME_FILE names; a relative path begins where this
// file is.
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
// Throws Error{not_found} with the way to make one. NAME_FILE has become NAME, and one that cannot
// be read is a problem. Where PGREVIVE_ENVIRONMENT is set, as in the image for containers,
// variables of the environment are added (add_environment).
EnvFile load_env(const std::filesystem::path& path);

// Adds what a container is told by its environment, which counts before the file: NAME itself, and
// for a secret the text of the file that NAME_FILE names, without the line end it may have. Empty
// variables say nothing. `value_of` is getenv.
void add_environment(EnvFile& file,
                     const std::function<std::optional<std::string>(const std::string&)>& value_of);

}  // namespace pgrevive::cli
