#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace pgrevive::restore {

// How long requests took lately, and from when on one is late. Large and small ones are told apart.
// Used by one thread at a time.
class Latencies {
 public:
  using Duration = std::chrono::steady_clock::duration;

  void add(std::uint64_t bytes, Duration took);
  // Twice what 95 of 100 stay below, and half a second at least; empty while too few are known.
  std::optional<Duration> late_after(std::uint64_t bytes) const;

 private:
  struct Recent {
    std::vector<Duration> took;  // a ring
    std::size_t next = 0;
    std::optional<Duration> late;
  };
  static std::size_t kind_of(std::uint64_t bytes);

  std::array<Recent, 3> recent_;
};

}  // namespace pgrevive::restore
