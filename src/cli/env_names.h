#pragma once

#include <string>
#include <string_view>
#include <vector>

// The names that a .env file may hold.
namespace pgrevive::cli {

struct EnvName {
  const char* name;
  const char* what;  // completes "S3_BUCKET is ..."
  bool secret = false;
};

// Null where we have no such name.
const EnvName* find_env_name(std::string_view name);

// Whether it is a variable of Docker's or Compose's own, of which we know nothing.
bool is_env_name_of_docker(std::string_view name);

// "S3_SECRET_KEY" of "S3_SECRET_KEY_FILE", which names a file that holds it; empty for what is no
// such name. A view of `name`.
std::string_view secret_of_file_name(std::string_view name);

// Every name, in the order of the example file.
std::vector<std::string> env_names();

// What is wrong with a name that is none of ours, with the closest of ours. Shows nothing that
// could be a pasted secret.
std::string unknown_env_name(const std::string& name);

// Whether a name can be written in a .env file at all.
bool is_env_name_character(char c);

}  // namespace pgrevive::cli
