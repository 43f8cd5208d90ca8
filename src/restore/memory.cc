#include "restore/memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace pgrevive::restore {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMiB = std::size_t{1} << 20;
// From here on blocks are mappings of their own: malloc keeps what it was given back.
constexpr std::size_t kMapped = std::size_t{128} << 10;

std::byte* allocate(std::size_t capacity) {
  if (capacity < kMapped) {
    void* const data = std::aligned_alloc(kPage, capacity);
    if (data == nullptr) throw std::bad_alloc();
    return static_cast<std::byte*>(data);
  }
  void* const data =
      ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(data);
}

void give_back(std::byte* data, std::size_t capacity) noexcept {
  if (capacity < kMapped) {
    std::free(data);
  } else {
    ::munmap(data, capacity);
  }
}

}  // namespace

Block::Block(Block&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

Block::~Block() {
  if (data_ != nullptr) owner_->put(data_, capacity_);
}

Memory::~Memory() {
  for (auto& [capacity, blocks] : state_.lock()->unused) {
    for (auto* block : blocks) give_back(block, capacity);
  }
}

std::size_t Memory::capacity_of(std::uint64_t size) {
  const auto wanted = static_cast<std::size_t>(std::max<std::uint64_t>(size, 1));
  if (wanted > kMiB) return (wanted + kMiB - 1) / kMiB * kMiB;
  return std::max(kPage, std::bit_ceil(wanted));
}

Block Memory::get(std::uint64_t size) {
  const auto capacity = capacity_of(size);
  std::vector<std::pair<std::byte*, std::size_t>> surplus;
  {
    auto state = state_.lock();
    if (const auto found = state->unused.find(capacity);
        found != state->unused.end() && !found->second.empty()) {
      auto* const data = found->second.back();
      found->second.pop_back();
      return {this, data, capacity};
    }
    // Blocks of other sizes make room, the largest first.
    for (auto at = state->unused.rbegin(); at != state->unused.rend(); ++at) {
      while (state->total + capacity > limit_ && !at->second.empty()) {
        surplus.emplace_back(at->second.back(), at->first);
        at->second.pop_back();
        state->total -= at->first;
      }
    }
    state->total += capacity;
  }
  for (const auto& [data, its_capacity] : surplus) give_back(data, its_capacity);
  try {
    return {this, allocate(capacity), capacity};
  } catch (...) {
    state_.lock()->total -= capacity;
    throw;
  }
}

void Memory::put(std::byte* data, std::size_t capacity) noexcept {
  {
    auto state = state_.lock();
    if (state->total <= limit_) {
      try {
        state->unused[capacity].push_back(data);
        return;
      } catch (...) {  // no memory even for this: it goes
      }
    }
    state->total -= capacity;
  }
  give_back(data, capacity);
}

}  // namespace pgrevive::restore
