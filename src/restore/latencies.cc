#include "restore/latencies.h"

#include <algorithm>

namespace pgrevive::restore {

namespace {

constexpr std::size_t kKept = 128;
constexpr std::size_t kFewest = 16;
// The order is looked at only so often.
constexpr std::size_t kEvery = 8;
constexpr std::chrono::milliseconds kNeverBefore{500};

}  // namespace

std::size_t Latencies::kind_of(std::uint64_t bytes) {
  if (bytes < 256u << 10) return 0;
  return bytes < 3u << 20 ? 1 : 2;
}

void Latencies::add(std::uint64_t bytes, Duration took) {
  auto& recent = recent_[kind_of(bytes)];
  if (recent.took.size() < kKept) {
    recent.took.push_back(took);
  } else {
    recent.took[recent.next] = took;
  }
  recent.next = (recent.next + 1) % kKept;
  if (recent.took.size() < kFewest || recent.next % kEvery != 0) return;
  auto sorted = recent.took;
  const auto at = static_cast<std::ptrdiff_t>(sorted.size() * 95 / 100);
  std::ranges::nth_element(sorted, sorted.begin() + at);
  recent.late = std::max<Duration>(2 * sorted[static_cast<std::size_t>(at)], kNeverBefore);
}

std::optional<Latencies::Duration> Latencies::late_after(std::uint64_t bytes) const {
  return recent_[kind_of(bytes)].late;
}

}  // namespace pgrevive::restore
