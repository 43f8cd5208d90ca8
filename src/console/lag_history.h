#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cluster/onlooker.h"
#include "cluster/state_directory.h"

namespace pgrevive::console {

// How far replicas were behind at one moment.
struct LagSample {
  struct Lag {
    std::optional<std::uint64_t> bytes;
    std::optional<double> seconds;
  };
  std::int64_t time_ms = 0;
  std::map<std::string, Lag> lags;  // by node
};
nlohmann::json to_value(const LagSample& sample);
// What a look at the cluster found.
LagSample lag_sample(const cluster::Sight& sight);

// Samples of a day: those of the last quarter of an hour as they came, of what is older one for
// each minute, with the greatest lag that was seen in it. Used by one thread at a time.
class LagHistory {
 public:
  static constexpr std::int64_t kFineMs = 15 * 60'000;
  static constexpr std::int64_t kStepMs = 60'000;
  static constexpr std::int64_t kKeptMs = 24 * 3'600'000;

  // Times rise; one that does not (a clock was set back) begins the history anew.
  void add(LagSample sample);
  std::vector<LagSample> samples() const;  // the oldest first

  // For another process to go on with: one sample for each minute, so that it is small.
  std::string text() const;
  // Nothing where the text is not a whole one of ours.
  static std::optional<LagHistory> parse(std::string_view text);

 private:
  std::deque<LagSample> fine_;
  std::deque<LagSample> coarse_;
};

// What the cluster's console kept; empty where there is nothing, or nothing that can be read. Does
// not throw.
LagHistory kept_lags(const cluster::StateDirectory& directory);

}  // namespace pgrevive::console
