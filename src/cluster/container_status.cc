#include "cluster/container_status.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "base/file.h"
#include "cluster/containers.h"

namespace pgrevive::cluster::containers {
namespace {

// What a replica's keeper does for longer than a start of its server takes, which its node tells.
constexpr std::array kWork{Phase::restoring, Phase::recovering, Phase::joining};

void add_new(std::vector<std::string>& all, const std::vector<std::string>& more) {
  for (const auto& one : more)
    if (std::ranges::find(all, one) == all.end()) all.push_back(one);
}

// One that its keeper did not live to end is not under way.
std::optional<RequestReport> request_of(const Keeper& keeper) {
  auto request = keeper.status.request;
  if (request && request->state == "working" && !keeper.lives) {
    request->state = "failed";
    request->error = "cut off";
  }
  return request;
}

void add_request(SupervisorStatus& all, const std::optional<RequestReport>& request) {
  if (request && (!all.request || all.request->began_ms < request->began_ms)) all.request = request;
}

void go_on_with(SupervisorStatus& all, const SupervisorStatus& replica) {
  if (!all.phases.empty() && !replica.phases.empty() && all.phases.back().ended_ms == 0)
    all.phases.back().ended_ms = replica.phases.front().began_ms;
  all.phases.insert(all.phases.end(), replica.phases.begin(), replica.phases.end());
  all.phase = replica.phase;
}

void take_work(SupervisorStatus& all, const SupervisorStatus& replica) {
  go_on_with(all, replica);
  all.restore = replica.restore;
  all.restore_retries = replica.restore_retries;
  all.restore_throttled = replica.restore_throttled;
  all.wal_segments_total = replica.wal_segments_total;
  all.wal_segments_done = replica.wal_segments_done;
  all.replay_lsn = replica.replay_lsn;
}

void take_failure(SupervisorStatus& all, const SupervisorStatus& replica) {
  go_on_with(all, replica);
  all.error = replica.error;
  all.exit_code = replica.exit_code;
}

}  // namespace

SupervisorStatus as_one(Keeper primary, const std::vector<Keeper>& replicas) {
  auto& all = primary.status;
  all.request = request_of(primary);
  const bool idle = primary.lives && all.phase == Phase::running;
  for (const auto& [lives, replica] : replicas) {
    all.restarts += replica.restarts;
    add_request(all, request_of({lives, replica}));
    for (const auto& notice : replica.notices)
      if (std::ranges::find(all.notices, notice.text, &Notice::text) == all.notices.end())
        all.notices.push_back(notice);
    add_new(all.dropped_settings, replica.dropped_settings);
    add_new(all.changed_settings, replica.changed_settings);
    if (!idle) continue;
    if (replica.phase == Phase::failed)
      take_failure(all, replica);
    else if (lives && std::ranges::find(kWork, replica.phase) != kWork.end())
      take_work(all, replica);
  }
  return all;
}

std::optional<SupervisorStatus> read_as_one(const StateDirectory& directory,
                                            const Settings& settings) {
  const auto primary = read_status(directory);
  if (!primary) return {};
  std::vector<Keeper> replicas;
  for (const auto& node : node_names(settings.replicas)) {
    if (node == "primary") continue;
    const auto own = StateDirectory::on_volume(directory.node(node).parent_path(), node);
    if (const auto status = read_status(own))
      replicas.push_back({FileLock::is_held(own.supervisor_lock()), *status});
  }
  return as_one({supervisor_running(directory), *primary}, replicas);
}

std::string path_in_container(const std::string& path) {
  const std::string volumes = std::string(kVolumes) + "/";
  if (!path.starts_with(volumes)) return path;
  const auto rest = path.find('/', volumes.size());
  return kData + (rest == std::string::npos ? "" : path.substr(rest));
}

std::string cat_in_container(const Settings& settings, const std::string& node,
                             const std::string& path) {
  return fmt::format("docker exec {} cat {}", host_of(settings, node), path_in_container(path));
}

void tell_places_in_containers(ClusterStatus& status) {
  status.state_directory = path_in_container(status.state_directory);
  status.archive = path_in_container(status.archive);
  for (auto& node : status.nodes) node.data_directory = path_in_container(node.data_directory);
}

}  // namespace pgrevive::cluster::containers
