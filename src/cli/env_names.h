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

// Every name, in the order of the example file.
std::vector<std::string> env_names();

// What is wrong with a name that is none of ours, with the closest of ours. Shows nothing that
// could be a pasted secret.
std::string unknown_env_name(const std::string& name);

// Whether a name can be written in a .env file at all.
bool is_env_name_character(char c);

}  // namespace pgrevive::cli
