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
  // A variable that is not an absolute path shall be ignored, says the specification of XDG.
  const auto path_in = [](const char* variable) -> std::filesystem::path {
    const char* value = std::getenv(variable);
    return value != nullptr && *value == '/' ? value : "";
  };
  auto state = path_in("XDG_STATE_HOME");
  if (state.empty()) {
    auto user = path_in("HOME");
    if (user.empty()) user = Identity::current().home;
    state = user / ".local" / "state";
  }
  return StateDirectory(state / "pgrevive" / cluster_name);
}

StateDirectory StateDirectory::on_volume(const std::filesystem::path& volumes,
                                         const std::string& node) {
  StateDirectory directory(volumes / node / "pgrevive");
  directory.nodes_ = volumes;
  directory.data_name_ = "pgdata";  // where the images of PostgreSQL have it on a volume
  return directory;
}

bool StateDirectory::holds(const std::filesystem::path& path) const {
  // The root is one of the nodes' or holds them.
  return path.lexically_normal().string().starts_with(nodes_.lexically_normal().string() + "/");
}

std::vector<std::string> node_names(int replicas) {
  std::vector<std::string> names = {"primary"};
  for (int i = 1; i <= replicas; ++i)
    names.push_back(i == 1 ? "replica" : "replica-" + std::to_string(i));
  return names;
}

}  // namespace pgrevive::cluster
