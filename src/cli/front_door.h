#pragma once

#include <string>

namespace pgrevive::cli {

// How a person calls this program: what PGREVIVE_FRONT_DOOR says ("./cluster-manager.sh"), else
// "pgrevive".
std::string front_door();

// The same with --cluster where the name is not the default: what to put before a command so that
// it is about that cluster, whatever the .env says.
std::string call_for(const std::string& cluster);

}  // namespace pgrevive::cli
