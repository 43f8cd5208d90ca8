#include "cluster/rates.h"

#include <algorithm>
#include <array>

namespace pgrevive::cluster {
namespace {

std::uint64_t less(std::uint64_t value, std::uint64_t part) {
  return value - std::min(value, part);
}

bool brings_up(Phase phase) {
  constexpr std::array kWay{Phase::preparing, Phase::restoring,   Phase::recovering,
                            Phase::promoting, Phase::configuring, Phase::joining,
                            Phase::reindexing};
  return std::ranges::find(kWay, phase) != kWay.end();
}

}  // namespace

Rates RateMeter::look(const SupervisorStatus& status, std::int64_t now_ms) {
  Rates rates;
  const auto& restore = status.restore;
  const auto copied = less(restore.bytes_done, restore.bytes_kept);
  const Pace::Time now(now_ms);
  if (status.phase == Phase::restoring) {
    bytes_.add(now, copied);
    rates.bytes_per_second = bytes_.bytes_per_second();
    if (const auto left = bytes_.left(less(restore.bytes_total, restore.bytes_kept)))
      rates.left_ms = left->count();
  }
  if (const auto time = phase_ms(status.phases, Phase::restoring, now_ms); time.value_or(0) > 0)
    rates.average_bytes_per_second =
        static_cast<double>(copied) * 1000 / static_cast<double>(*time);
  if (status.phase == Phase::recovering) {
    // In thousandths: a pace below one unit a second counts as none.
    segments_.add(now, static_cast<std::uint64_t>(status.wal_segments_done) * 1000);
    rates.segments_per_second = segments_.bytes_per_second() / 1000;
    if (status.wal_segments_total > 0)
      if (const auto left =
              segments_.left(static_cast<std::uint64_t>(status.wal_segments_total) * 1000))
        rates.wal_left_ms = left->count();
  }
  return rates;
}

std::vector<PhaseTime> phases_of_restore(const std::vector<PhaseTime>& phases) {
  std::vector<std::vector<PhaseTime>> runs(1);
  for (const auto& phase : phases) {
    if (brings_up(phase.phase))
      runs.back().push_back(phase);
    else if (!runs.back().empty())
      runs.emplace_back();
  }
  if (!runs.back().empty()) return runs.back();
  for (auto run = runs.rbegin(); run != runs.rend(); ++run)
    if (std::ranges::find(*run, Phase::restoring, &PhaseTime::phase) != run->end()) return *run;
  return runs.front();
}

std::optional<std::int64_t> phase_ms(const std::vector<PhaseTime>& phases, Phase phase,
                                     std::int64_t now_ms) {
  const auto found = std::ranges::find(phases.rbegin(), phases.rend(), phase, &PhaseTime::phase);
  if (found == phases.rend()) return {};
  return (found->ended_ms == 0 ? now_ms : found->ended_ms) - found->began_ms;
}

}  // namespace pgrevive::cluster
