#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "cluster/adminer.h"
#include "cluster/bring_up.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"

namespace pgrevive::cluster {

std::vector<std::pair<std::string, std::string>> node_environment(const StateDirectory& directory,
                                                                  const std::string& node) {
  const auto marker = load_marker(directory);
  const auto settings = from_json(read_file(directory.settings()));
  const auto names = node_names(settings.replicas);
  if (std::ranges::find(names, node) == names.end()) {
    std::string known;
    for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::usage, "there is no node " + node).with_hint("there are " + known);
  }
  const auto address = local_address(settings.listen_addresses);
  const auto binaries = cluster_binaries(settings, cluster_version(settings, directory));
  const char* path = std::getenv("PATH");
  return {{"PGHOST", address.empty() ? marker.socket_directory.string() : address},
          {"PGPORT", std::to_string(port_of(settings, node))},
          {"PGUSER", settings.user},
          {"PGDATABASE", settings.database},
          {"PGDATA", directory.data(node).string()},
          {"PGPASSFILE", directory.user_passfile().string()},
          {"PATH",
           binaries.string() + ":" + (path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin")}};
}

}  // namespace pgrevive::cluster
