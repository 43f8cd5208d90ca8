#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace pgrevive::cluster {

// How fast bytes came in over the last seconds, and how long the rest takes at that pace. Time is
// passed in. Used by one thread at a time.
class Pace {
 public:
  using Time = std::chrono::milliseconds;

  void add(Time now, std::uint64_t bytes);
  double bytes_per_second() const;
  // Empty where it is not known, such as in the first seconds, which tell nothing about hours.
  std::optional<Time> left(std::uint64_t bytes_total) const;

 private:
  std::deque<std::pair<Time, std::uint64_t>> samples_;
  Time since_{};  // when this attempt was first looked at
};

}  // namespace pgrevive::cluster
