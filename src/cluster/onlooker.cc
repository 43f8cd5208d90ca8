#include "cluster/onlooker.h"

#include <exception>
#include <system_error>
#include <utility>

#include "cluster/status_board.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::seconds kWholeLookEvery{60};

}  // namespace

bool is_at_work(const ClusterStatus& status) {
  const auto phase = status.supervisor.phase;
  return status.supervisor_running && phase != Phase::running && phase != Phase::failed;
}

void DataSizes::count(std::vector<std::string> nodes) {
  if (counting_.exchange(true)) return;
  try {
    thread_ = std::jthread([this, nodes = std::move(nodes)](const std::stop_token& stop) {
      try {
        for (const auto& node : nodes) {
          const auto bytes = data_bytes(directory_, node, stop);
          if (stop.stop_requested()) break;
          (*known_.lock())[node] = bytes;
        }
      } catch (const std::exception&) {
        // What is known stays, and the next look counts again.
      }
      counting_ = false;
    });
  } catch (const std::system_error&) {  // no thread to be had now
    counting_ = false;
  }
}

Sight Onlooker::look() {
  const auto now = Clock::now();
  const bool whole = looked_ && !was_at_work_ &&
                     (whole_look_ == Clock::time_point() || now - whole_look_ >= kWholeLookEvery);
  Sight sight{.status = collect_status(directory_, whole ? Look::without_sizes : Look::quick)};
  sight.time_ms = unix_milliseconds();
  if (whole) {
    whole_look_ = now;
    std::vector<std::string> nodes;
    for (const auto& node : sight.status.nodes) nodes.push_back(node.name);
    sizes_.count(std::move(nodes));
  } else {
    // Of one that comes up nobody asked yet.
    sight.status.adminer_answers =
        adminer_answers_ || was_at_work_ || whole_look_ == Clock::time_point();
  }
  const auto sizes = sizes_.known();
  for (auto& node : sight.status.nodes)
    if (const auto known = sizes.find(node.name); known != sizes.end())
      node.data_bytes = known->second;
  // It has just come up: the first whole look says how large it is.
  if (was_at_work_) whole_look_ = Clock::time_point();
  remember(sight.status);
  // What a supervisor that was killed has left behind goes at no pace.
  auto told = sight.status.supervisor;
  if (!sight.status.supervisor_running) told.phase = Phase::stopped;
  sight.rates = meter_.look(told, sight.time_ms);
  return sight;
}

void Onlooker::remember(const ClusterStatus& status) {
  looked_ = true;
  was_at_work_ = is_at_work(status);
  if (was_at_work_) sizes_.give_up();
  adminer_answers_ = status.adminer_answers;
}

}  // namespace pgrevive::cluster
