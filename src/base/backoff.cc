#include "base/backoff.h"

#include <algorithm>

namespace pgrevive {

std::chrono::milliseconds backoff_delay(const BackoffPolicy& policy, int attempt, double spread,
                                        std::optional<std::chrono::milliseconds> retry_after) {
  auto delay = std::min(policy.first, policy.ceiling);
  for (int i = 1; i < attempt && delay < policy.ceiling; ++i) {
    delay = delay > policy.ceiling / 2 ? policy.ceiling : delay * 2;
  }
  const double share = 0.5 + std::clamp(spread, 0.0, 1.0) / 2;
  const std::chrono::milliseconds chosen(
      static_cast<std::chrono::milliseconds::rep>(static_cast<double>(delay.count()) * share));
  return retry_after ? std::max(chosen, *retry_after) : chosen;
}

}  // namespace pgrevive
