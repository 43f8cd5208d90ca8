#include "restore/engine.h"

#include <gtest/gtest.h>

namespace pgrevive::restore {
namespace {

constexpr std::uint64_t kMemory = 64u << 20;

// What is left of kMemory for the data where the backup has so many files.
std::uint64_t left_beside(std::size_t files, std::uint64_t bundle_id = 1) {
  repository::Manifest manifest;
  manifest.files.resize(files, {.name = "n", .size = 1, .repo_size = 1, .bundle_id = bundle_id});
  Options options;
  options.memory = kMemory;
  return limits_of(options, manifest, {}).memory;
}

TEST(LimitsOf, ManifestAndPlanAreInTheMemoryOfARestore) {
  constexpr std::size_t kFiles = 100'000;
  constexpr auto kEach =
      sizeof(repository::ManifestFile) + sizeof(NodeMask) + sizeof(std::uint32_t);

  EXPECT_EQ(left_beside(0), kMemory);
  EXPECT_EQ(left_beside(kFiles), kMemory - kFiles * kEach);
  EXPECT_EQ(left_beside(kFiles, 0), kMemory - kFiles * (kEach + sizeof(Job)));
}

TEST(LimitsOf, TheDataKeepsAQuarterHoweverManyFilesThereAre) {
  EXPECT_EQ(left_beside(500'000), kMemory / 4);
  EXPECT_EQ(left_beside(1'000'000), kMemory / 4);
}

}  // namespace
}  // namespace pgrevive::restore
