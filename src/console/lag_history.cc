#include "console/lag_history.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

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

// What is newer than `last`, in its minute, is put into it.
bool raise_in_minute(LagSample& last, const LagSample& other) {
  if (last.time_ms / LagHistory::kStepMs != other.time_ms / LagHistory::kStepMs) return false;
  raise(last, other);
  return true;
}

constexpr int kVersion = 1;
// A day of the most nodes that a history is read of has less.
constexpr std::uintmax_t kLongestText = 16 << 20;
constexpr std::size_t kMostNodes = 100;
// Of a day, with the minute that it begins in and the one that it ends in.
constexpr std::size_t kMostMinutes = LagHistory::kKeptMs / LagHistory::kStepMs + 2;

LagSample::Lag parse_lag(const nlohmann::json& pair) {
  LagSample::Lag lag;
  if (pair.size() != 2) throw Error(ErrorKind::corrupt, "a lag is two numbers");
  if (!pair[0].is_null()) lag.bytes = pair[0].get<std::uint64_t>();
  if (!pair[1].is_null()) lag.seconds = pair[1].get<double>();
  return lag;
}

}  // namespace

nlohmann::json to_value(const LagSample& sample) {
  nlohmann::json nodes = nlohmann::json::object();
  for (const auto& [node, lag] : sample.lags)
    nodes[node] = {{"lag_bytes", or_null(lag.bytes)}, {"lag_seconds", or_null(lag.seconds)}};
  return {{"time_ms", sample.time_ms}, {"nodes", nodes}};
}

void LagHistory::add(LagSample sample) {
  const auto* last = !fine_.empty() ? &fine_.back() : !coarse_.empty() ? &coarse_.back() : nullptr;
  if (last != nullptr && sample.time_ms < last->time_ms) {
    fine_.clear();
    coarse_.clear();
  }
  const auto now = sample.time_ms;
  fine_.push_back(std::move(sample));
  while (fine_.front().time_ms < now - kFineMs) {
    auto& old = fine_.front();
    if (coarse_.empty() || !raise_in_minute(coarse_.back(), old)) coarse_.push_back(std::move(old));
    fine_.pop_front();
  }
  while (!coarse_.empty() && coarse_.front().time_ms < now - kKeptMs) coarse_.pop_front();
}

std::vector<LagSample> LagHistory::samples() const {
  std::vector<LagSample> all(coarse_.begin(), coarse_.end());
  all.insert(all.end(), fine_.begin(), fine_.end());
  return all;
}

std::string LagHistory::text() const {
  std::vector<LagSample> minutes;
  std::set<std::string> nodes;
  for (auto& sample : samples()) {
    for (const auto& [node, lag] : sample.lags) nodes.insert(node);
    if (minutes.empty() || !raise_in_minute(minutes.back(), sample))
      minutes.push_back(std::move(sample));
  }
  nlohmann::json list = nlohmann::json::array();
  for (const auto& minute : minutes) {
    nlohmann::json entry = {minute.time_ms};
    for (const auto& node : nodes) {
      const auto found = minute.lags.find(node);
      if (found == minute.lags.end())
        entry.push_back(nullptr);
      else
        entry.push_back({or_null(found->second.bytes), or_null(found->second.seconds)});
    }
    list.push_back(std::move(entry));
  }
  return nlohmann::json{{"version", kVersion}, {"nodes", nodes}, {"samples", list}}.dump() + "\n";
}

std::optional<LagHistory> LagHistory::parse(std::string_view text) try {
  const auto json = nlohmann::json::parse(text);
  const auto nodes = json.at("nodes").get<std::vector<std::string>>();
  const auto& list = json.at("samples");
  if (json.at("version") != kVersion || !list.is_array() || list.size() > kMostMinutes ||
      nodes.size() > kMostNodes)
    return {};
  LagHistory history;
  for (const auto& entry : list) {
    LagSample sample{.time_ms = entry.at(0).get<std::int64_t>(), .lags = {}};
    const bool rises = history.coarse_.empty() || sample.time_ms > history.coarse_.back().time_ms;
    if (!entry.is_array() || entry.size() != nodes.size() + 1 || !rises) return {};
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (!entry[i + 1].is_null()) sample.lags[nodes[i]] = parse_lag(entry[i + 1]);
    history.coarse_.push_back(std::move(sample));
  }
  return history;
} catch (const nlohmann::json::exception&) {
  return {};
} catch (const Error&) {
  return {};
}

LagSample lag_sample(const cluster::Sight& sight) {
  LagSample sample{.time_ms = sight.time_ms, .lags = {}};
  for (const auto& node : sight.status.nodes)
    if (node.name != "primary")
      sample.lags[node.name] = {.bytes = node.lag_bytes, .seconds = node.lag_seconds};
  return sample;
}

LagHistory kept_lags(const cluster::StateDirectory& directory) {
  std::error_code failure;
  if (std::filesystem::file_size(directory.lags(), failure) > kLongestText || failure) return {};
  try {
    return LagHistory::parse(read_file_if_exists(directory.lags()).value_or(""))
        .value_or(LagHistory());
  } catch (const Error&) {
    return {};
  }
}

}  // namespace pgrevive::console
