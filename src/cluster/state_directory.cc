#include "cluster/state_directory.h"

#include <cstdlib>

#include <unistd.h>

#include "base/child_process.h"

namespace pgrevive::cluster {

StateDirectory StateDirectory::locate(const std::string& cluster_name,
                                      const std::filesystem::path& home) {
  if (!home.empty()) return StateDirectory(std::filesystem::absolute(home) / cluster_name);
  if (::geteuid() == 0)
    return StateDirectory(std::filesystem::path("/var/lib/pgrevive") / cluster_name);
  // An XDG variable that is not an absolute path shall be ignored, says its specification.
  const char* xdg = std::getenv("XDG_STATE_HOME");
  const std::filesystem::path state = xdg != nullptr && *xdg == '/'
                                          ? std::filesystem::path(xdg)
                                          : Identity::current().home / ".local" / "state";
  return StateDirectory(state / "pgrevive" / cluster_name);
}

std::vector<std::string> node_names(int replicas) {
  std::vector<std::string> names = {"primary"};
  for (int i = 1; i <= replicas; ++i)
    names.push_back(i == 1 ? "replica" : "replica-" + std::to_string(i));
  return names;
}

}  // namespace pgrevive::cluster
