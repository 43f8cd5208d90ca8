#include "cli/front_door.h"

#include <cstdlib>

namespace pgrevive::cli {

std::string front_door() {
  const char* name = std::getenv("PGREVIVE_FRONT_DOOR");
  return name != nullptr && *name != '\0' ? name : "pgrevive";
}

}  // namespace pgrevive::cli
