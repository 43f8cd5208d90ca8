#include "restore/memory.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace pgrevive::restore {
namespace {

TEST(Memory, BlocksBeginAtAPageAndHoldWhatWasAskedFor) {
  Memory memory(64u << 20);
  for (const std::uint64_t size :
       {1u, 4096u, 4097u, 100'000u, 200'000u, 1u << 20, (3u << 20) + 1}) {
    const auto block = memory.get(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % 4096, 0u) << size;
    EXPECT_GE(block.capacity(), size);
    EXPECT_EQ(block.capacity() % 4096, 0u);
    EXPECT_EQ(block.capacity(), Memory::capacity_of(size));
    block.data()[size - 1] = std::byte{1};
  }
}

TEST(Memory, ABlockThatCameBackIsHandedOutAgain) {
  Memory memory(64u << 20);
  auto first = memory.get(1u << 20);
  auto* const data = first.data();
  auto moved = std::move(first);
  EXPECT_FALSE(first);
  moved = {};

  EXPECT_EQ(memory.get(1u << 20).data(), data);
}

TEST(Memory, WhatIsUnusedMakesRoomForOtherSizes) {
  Memory memory(4u << 20);
  { const auto large = memory.get(4u << 20); }
  const auto small = memory.get(128u << 10);
  { const auto more = memory.get(3u << 20); }
  // Three MiB were kept and are used again; the four before them are gone.
  const auto again = memory.get(3u << 20);
  EXPECT_TRUE(again);
  EXPECT_TRUE(small);
}

}  // namespace
}  // namespace pgrevive::restore
