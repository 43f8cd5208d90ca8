#include "base/backoff.h"

#include <gtest/gtest.h>

namespace pgrevive {
namespace {

using std::chrono::milliseconds;

constexpr BackoffPolicy kPolicy{.first = milliseconds(100), .ceiling = milliseconds(1000)};

TEST(Backoff, DoublesUpToTheCeiling) {
  const int expected[] = {100, 200, 400, 800, 1000, 1000};
  for (int attempt = 1; attempt <= 6; ++attempt) {
    // The largest spread there is, 1 left out, gives all of the delay but for rounding.
    const auto delay = backoff_delay(kPolicy, attempt, 0.9999999999);
    EXPECT_GE(delay.count(), expected[attempt - 1] - 1) << "attempt " << attempt;
    EXPECT_LE(delay.count(), expected[attempt - 1]) << "attempt " << attempt;
  }
}

TEST(Backoff, SpreadsBetweenHalfAndAll) {
  EXPECT_EQ(backoff_delay(kPolicy, 2, 0.0), milliseconds(100));
  EXPECT_EQ(backoff_delay(kPolicy, 2, 0.5), milliseconds(150));
}

TEST(Backoff, StaysAtTheCeilingForEver) {
  EXPECT_EQ(backoff_delay(kPolicy, 1'000'000'000, 0.0), milliseconds(500));
}

TEST(Backoff, ObeysTheServerAboveTheCeilingToo) {
  EXPECT_EQ(backoff_delay(kPolicy, 1, 0.0, milliseconds(5000)), milliseconds(5000));
  EXPECT_EQ(backoff_delay(kPolicy, 4, 0.0, milliseconds(10)), milliseconds(400));
}

TEST(Backoff, BeginsAtTheCeilingIfThatIsLower) {
  EXPECT_EQ(backoff_delay({.first = milliseconds(500), .ceiling = milliseconds(100)}, 1, 0.0),
            milliseconds(50));
}

}  // namespace
}  // namespace pgrevive
