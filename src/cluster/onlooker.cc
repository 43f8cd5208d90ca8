#include "cluster/onlooker.h"

#include "cluster/status_board.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::seconds kWholeLookEvery{60};

}  // namespace

bool is_at_work(const ClusterStatus& status) {
  const auto phase = status.supervisor.phase;
  return status.supervisor_running && phase != Phase::running && phase != Phase::failed;
}

Sight Onlooker::look() {
  const auto now = Clock::now();
  const bool whole = looked_ && !was_at_work_ &&
                     (whole_look_ == Clock::time_point() || now - whole_look_ >= kWholeLookEvery);
  Sight sight{.status = collect_status(directory_, whole ? Look::whole : Look::quick)};
  sight.time_ms = unix_milliseconds();
  if (whole)
    whole_look_ = now;
  else
    recall(sight.status);
  // It has just come up: the first whole look says how large it is.
  if (was_at_work_) whole_look_ = Clock::time_point();
  remember(sight.status);
  // What a supervisor that was killed has left behind goes at no pace.
  auto told = sight.status.supervisor;
  if (!sight.status.supervisor_running) told.phase = Phase::stopped;
  sight.rates = meter_.look(told, sight.time_ms);
  return sight;
}

void Onlooker::recall(ClusterStatus& status) const {
  // Of one that comes up nobody asked yet.
  status.adminer_answers = adminer_answers_ || was_at_work_ || whole_look_ == Clock::time_point();
  for (auto& node : status.nodes)
    if (const auto known = data_bytes_.find(node.name); known != data_bytes_.end())
      node.data_bytes = known->second;
}

void Onlooker::remember(const ClusterStatus& status) {
  looked_ = true;
  was_at_work_ = is_at_work(status);
  adminer_answers_ = status.adminer_answers;
  for (const auto& node : status.nodes) data_bytes_[node.name] = node.data_bytes;
}

}  // namespace pgrevive::cluster
