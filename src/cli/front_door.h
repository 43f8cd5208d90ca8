#pragma once

#include <string>

namespace pgrevive::cli {

// How a person calls this program: what PGREVIVE_FRONT_DOOR says ("./cluster-manager.sh"), else
// "pgrevive".
std::string front_door();

}  // namespace pgrevive::cli
