#include "cluster/pace.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMega = 1'000'000;

TEST(Pace, IsThatOfTheLastSeconds) {
  Pace pace;
  EXPECT_EQ(pace.bytes_per_second(), 0);
  EXPECT_FALSE(pace.left(100));

  for (int second = 0; second <= 20; ++second) {
    // Slow for ten seconds, fast after.
    const std::uint64_t bytes =
        second <= 10 ? static_cast<std::uint64_t>(second) * kMega
                     : 10 * kMega + static_cast<std::uint64_t>(second - 10) * 50 * kMega;
    pace.add(std::chrono::seconds(second), bytes);
  }

  EXPECT_NEAR(pace.bytes_per_second(), 50e6, 1e6);
  EXPECT_EQ(pace.left(560 * kMega), 1000ms);
}

TEST(Pace, StartsAnewWithANewAttempt) {
  Pace pace;
  pace.add(0ms, 0);
  pace.add(1000ms, 100 * kMega);
  pace.add(2000ms, 0);
  pace.add(3000ms, kMega);

  EXPECT_NEAR(pace.bytes_per_second(), 1e6, 1);
}

TEST(Pace, OfTheFirstSecondsSaysNothingAboutHours) {
  Pace pace;
  pace.add(100'000ms, 0);
  pace.add(103'000ms, kMega);
  EXPECT_EQ(pace.left(11 * kMega), 30'000ms);
  EXPECT_FALSE(pace.left(12 * kMega));
  pace.add(105'000ms, kMega);
  EXPECT_EQ(pace.left(12 * kMega), 55'000ms);

  // A new attempt is a new beginning.
  pace.add(106'000ms, 0);
  pace.add(107'000ms, kMega);
  EXPECT_FALSE(pace.left(12 * kMega));
}

}  // namespace
}  // namespace pgrevive::cluster
