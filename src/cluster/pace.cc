#include "cluster/pace.h"

namespace pgrevive::cluster {

using namespace std::chrono_literals;

namespace {
// Long enough to be calm, short enough to notice when the line goes bad.
constexpr auto kWatched = 5s;
constexpr int kForesight = 10;  // before that, in times of what was watched
}  // namespace

void Pace::add(Time now, std::uint64_t bytes) {
  if (!samples_.empty() && bytes < samples_.back().second) samples_.clear();  // a new attempt
  if (samples_.empty()) since_ = now;
  samples_.emplace_back(now, bytes);
  while (samples_.size() > 2 && now - samples_.front().first > kWatched) samples_.pop_front();
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
  const Time left(static_cast<std::int64_t>(
      static_cast<double>(bytes_total - samples_.back().second) * 1000.0 / rate));
  const auto watched = samples_.back().first - since_;
  if (watched < kWatched && left > watched * kForesight) return std::nullopt;
  return left;
}

}  // namespace pgrevive::cluster
