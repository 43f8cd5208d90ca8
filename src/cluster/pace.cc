#include "cluster/pace.h"

namespace pgrevive::cluster {

using namespace std::chrono_literals;

void Pace::add(Time now, std::uint64_t bytes) {
  if (!samples_.empty() && bytes < samples_.back().second) samples_.clear();  // a new attempt
  samples_.emplace_back(now, bytes);
  // Long enough to be calm, short enough to notice when the line goes bad.
  while (samples_.size() > 2 && now - samples_.front().first > 5s) samples_.pop_front();
}

double Pace::bytes_per_second() const {
  if (samples_.size() < 2) return 0;
  const auto time = samples_.back().first - samples_.front().first;
  if (time <= 0ms) return 0;
  return static_cast<double>(samples_.back().second - samples_.front().second) * 1000.0 /
         static_cast<double>(time.count());
}

std::optional<Pace::Time> Pace::left(std::uint64_t bytes_total) const {
  const double rate = bytes_per_second();
  if (rate < 1 || samples_.empty() || samples_.back().second >= bytes_total) return std::nullopt;
  return Time(static_cast<std::int64_t>(static_cast<double>(bytes_total - samples_.back().second) *
                                        1000.0 / rate));
}

}  // namespace pgrevive::cluster
