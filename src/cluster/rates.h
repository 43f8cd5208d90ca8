#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cluster/pace.h"
#include "cluster/progress.h"

namespace pgrevive::cluster {

// How fast a restore goes and how long it will take, which only who looks again and again knows.
struct Rates {
  double bytes_per_second = 0;              // of the restore, over the last seconds
  double average_bytes_per_second = 0;      // and since it began
  std::optional<std::int64_t> left_ms;      // of the restore at that pace
  double segments_per_second = 0;           // of WAL, while the primary recovers
  std::optional<std::int64_t> wal_left_ms;  // of the recovery at that pace
};

// Told of each look, the oldest first. What was found on disk already is no speed. Used by one
// thread at a time.
class RateMeter {
 public:
  // `now_ms` is Unix time in milliseconds.
  Rates look(const SupervisorStatus& status, std::int64_t now_ms);

 private:
  Pace bytes_;
  Pace segments_;
};

// The phases of the bring-up that is under way, be it of a node that is made anew; else of the last
// one that restored something, and where none did of the first. Pure.
std::vector<PhaseTime> phases_of_restore(const std::vector<PhaseTime>& phases);

// How long that phase took the last time, up to now where it is still going on; empty: there was
// none.
std::optional<std::int64_t> phase_ms(const std::vector<PhaseTime>& phases, Phase phase,
                                     std::int64_t now_ms);

}  // namespace pgrevive::cluster
