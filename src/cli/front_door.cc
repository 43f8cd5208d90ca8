#include "cli/front_door.h"

#include <cstdlib>

#include "cluster/settings.h"

namespace pgrevive::cli {

std::string front_door() {
  const char* name = std::getenv("PGREVIVE_FRONT_DOOR");
  return name != nullptr && *name != '\0' ? name : "pgrevive";
}

std::string call_for(const std::string& cluster) {
  return front_door() +
         (cluster == pgrevive::cluster::Settings{}.cluster_name ? "" : " --cluster " + cluster);
}

}  // namespace pgrevive::cli
