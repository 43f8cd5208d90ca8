#include "console/lag_history.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace pgrevive::console {
namespace {

template <typename T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

// An empty one is less than any other.
void raise(LagSample& sample, const LagSample& other) {
  for (const auto& [node, lag] : other.lags) {
    auto& here = sample.lags[node];
    here.bytes = std::max(here.bytes, lag.bytes);
    here.seconds = std::max(here.seconds, lag.seconds);
  }
}

}  // namespace

nlohmann::json to_value(const LagSample& sample) {
  nlohmann::json nodes = nlohmann::json::object();
  for (const auto& [node, lag] : sample.lags)
    nodes[node] = {{"lag_bytes", or_null(lag.bytes)}, {"lag_seconds", or_null(lag.seconds)}};
  return {{"time_ms", sample.time_ms}, {"nodes", nodes}};
}

void LagHistory::add(LagSample sample) {
  if (!fine_.empty() && sample.time_ms < fine_.back().time_ms) {
    fine_.clear();
    coarse_.clear();
  }
  const auto now = sample.time_ms;
  fine_.push_back(std::move(sample));
  while (fine_.front().time_ms < now - kFineMs) {
    auto& old = fine_.front();
    if (!coarse_.empty() && coarse_.back().time_ms / kStepMs == old.time_ms / kStepMs)
      raise(coarse_.back(), old);
    else
      coarse_.push_back(std::move(old));
    fine_.pop_front();
  }
  while (!coarse_.empty() && coarse_.front().time_ms < now - kKeptMs) coarse_.pop_front();
}

std::vector<LagSample> LagHistory::samples() const {
  std::vector<LagSample> all(coarse_.begin(), coarse_.end());
  all.insert(all.end(), fine_.begin(), fine_.end());
  return all;
}

}  // namespace pgrevive::console
