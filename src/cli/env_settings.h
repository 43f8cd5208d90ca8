#pragma once

#include <string>
#include <string_view>

#include "cli/env_file.h"
#include "cluster/settings.h"

// What a .env file says, as the settings of a cluster.
namespace pgrevive::cli {

// Which parts must be there, because the command at hand uses them.
struct EnvNeeds {
  bool cluster = true;     // what the nodes are told: password, ports, sizes
  bool repository = true;  // where the backups are
};

// The file as checked settings. Throws one Error{usage} that lists everything that is wrong, each
// with line and remedy: placeholders left in, unknown names, values that cannot be, what is
// missing. What the command does not need is neither asked for nor checked.
cluster::Settings settings_from_env(const EnvFile& file, EnvNeeds needs);

// Whether the file says anything at all about where the backups are.
bool env_names_repository(const EnvFile& file);

// CLUSTER_NAME alone, or its default; for commands that need nothing else of the file.
std::string cluster_name_from_env(const EnvFile& file);

// Whether a name can be a cluster's: it becomes a directory. "" if so, else what is wrong.
std::string cluster_name_problem(std::string_view name);

}  // namespace pgrevive::cli
