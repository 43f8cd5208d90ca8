#pragma once

#include <chrono>
#include <optional>

namespace pgrevive {

struct BackoffPolicy {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds ceiling{10'000};
  int attempts = 8;  // in all, the first one included
};

// How long to wait before retry number `attempt` (1 is the first retry): a random share, between
// half and all, of a delay that doubles up to the ceiling. A server's own Retry-After is a floor
// and is obeyed above the ceiling too.
//
// `spread` is a random number in [0, 1) drawn by the caller; it keeps many workers that failed
// together from coming back together, and makes this function a table a test can check.
std::chrono::milliseconds backoff_delay(const BackoffPolicy& policy, int attempt, double spread,
                                        std::optional<std::chrono::milliseconds> retry_after = {});

}  // namespace pgrevive
