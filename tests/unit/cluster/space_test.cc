#include "cluster/space.h"

#include <limits>

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

// /a and what is below it are one file system, all else is another.
DiskSpace look(const std::filesystem::path& place) {
  const bool first = place.string().starts_with("/a");
  return {.free_bytes = first ? 100u : 20u, .total_bytes = 1000, .device = first ? 1u : 2u};
}

TEST(ByFileSystem, AddsUpWhatLiesOnOneAndNothingElse) {
  const auto all = by_file_system({{"/a/data", 70}, {"/b/slow", 20}, {"/a/fast", 31}}, look);

  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].place, "/a/data");
  EXPECT_EQ(all[0].places, 2u);
  EXPECT_EQ(all[0].bytes, 101u);
  EXPECT_FALSE(all[0].fits());
  EXPECT_EQ(all[1].place, "/b/slow");
  EXPECT_EQ(all[1].bytes, 20u);
  EXPECT_TRUE(all[1].fits());
}

TEST(ByFileSystem, DoesNotWrapAround) {
  const auto all = by_file_system(
      {{"/a", std::numeric_limits<std::uint64_t>::max()}, {"/a/b", 2}}, look);

  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].fits());
}

}  // namespace
}  // namespace pgrevive::cluster
