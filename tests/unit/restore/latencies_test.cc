#include "restore/latencies.h"

#include <gtest/gtest.h>

namespace pgrevive::restore {
namespace {

using std::chrono::milliseconds;

TEST(Latencies, SayNothingBeforeTheyKnowEnough) {
  Latencies latencies;
  for (int i = 0; i < 15; ++i) latencies.add(1000, milliseconds(10));
  EXPECT_FALSE(latencies.late_after(1000));
  latencies.add(1000, milliseconds(10));
  EXPECT_EQ(latencies.late_after(1000), milliseconds(500));
  EXPECT_FALSE(latencies.late_after(8u << 20));
}

TEST(Latencies, AreTwiceWhatNearlyAllStayBelow) {
  Latencies latencies;
  for (int i = 1; i <= 128; ++i) latencies.add(8u << 20, milliseconds(10 * i));
  EXPECT_EQ(latencies.late_after(8u << 20), milliseconds(2 * 10 * 122));
}

TEST(Latencies, ForgetWhatIsLongAgo) {
  Latencies latencies;
  for (int i = 0; i < 128; ++i) latencies.add(1, milliseconds(5000));
  for (int i = 0; i < 128; ++i) latencies.add(1, milliseconds(400));
  EXPECT_EQ(latencies.late_after(1), milliseconds(800));
}

}  // namespace
}  // namespace pgrevive::restore
