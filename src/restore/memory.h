#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/guarded.h"

namespace pgrevive::restore {

class Memory;

// A piece of memory that begins at a page, as O_DIRECT wants it. Its bytes are whatever they were
// when it was last used. Goes back to where it came from when it is destroyed.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;
  ~Block();

  std::byte* data() const { return data_; }
  std::size_t capacity() const { return capacity_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  friend class Memory;
  Block(Memory* owner, std::byte* data, std::size_t capacity)
      : owner_(owner), data_(data), capacity_(capacity) {}

  Memory* owner_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
};

// Hands out blocks and takes them back to hand them out again: memory that is new from the kernel
// costs more than what is done with it here. How much is out at a time is for the callers to bound;
// what comes back is kept only while all together is within `limit`.
//
// Any thread may call anything.
class Memory {
 public:
  explicit Memory(std::uint64_t limit) : limit_(limit) {}
  ~Memory();  // all blocks are back
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // What a block for `size` bytes takes.
  static std::size_t capacity_of(std::uint64_t size);
  Block get(std::uint64_t size);

 private:
  friend class Block;
  void put(std::byte* data, std::size_t capacity) noexcept;

  struct State {
    std::map<std::size_t, std::vector<std::byte*>> unused;  // by capacity
    std::uint64_t total = 0;                                // in use and unused
  };
  const std::uint64_t limit_;
  Guarded<State> state_;
};

}  // namespace pgrevive::restore
