#include "repository/block_map.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include <fmt/format.h>

#include "base/error.h"

// A map, all numbers unsigned varints (seven bits a byte, low ones first):
//
//   flags
//   groups of super blocks that lie in one backup, until the last one:
//     R = (index of the backup << 3) | bits
//     [bundle id] [offset] or [gap]
//     super blocks, until the last one of the group:
//       S = (stored size << 3) | bits         left out for a super block that is gone on with
//       [L = logical size] [remainder]
//       [T = ((number of blocks - 1) << 1) | bit] [blocks to skip]
//       the checksums of the blocks
//
// The blocks of the file follow one another in this order, so their numbers are not stored. A super
// block of an old backup that a newer backup has replaced in its middle comes in several parts: the
// later ones "go on" with it.

namespace pgrevive::repository {

namespace {

constexpr std::uint64_t kVersionBit = 1;

constexpr std::uint64_t kLast = 1;                // R and S: the last one of its list
constexpr std::uint64_t kHasBundle = 2;           // R, backup seen for the first time
constexpr std::uint64_t kHasOffset = 4;           // R, likewise
constexpr std::uint64_t kGoesOn = 2;              // R, backup seen before
constexpr std::uint64_t kGoesOnLast = 4;          // R with kGoesOn: and nothing after it
constexpr std::uint64_t kHasGap = 4;              // R without kGoesOn
constexpr std::uint64_t kLogicalSizeChanged = 2;  // S
constexpr std::uint64_t kHasBlockCount = 4;       // S
constexpr std::uint64_t kHasRemainder = 1;        // L
constexpr std::uint64_t kHasSkip = 1;             // T
constexpr int kBits = 3;                          // of R and S

constexpr std::uint64_t kMaxPosition =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
// pgBackRest makes super blocks of 1 MiB or less and can be set to 16 MiB, rounded up to whole
// blocks. A reader has one in memory as a whole.
constexpr std::uint64_t kMaxLogicalSize = 64u << 20;

[[noreturn]] void refuse(const char* problem) {
  throw Error(ErrorKind::corrupt, fmt::format("block map: {}", problem));
}

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  if (a > kMaxPosition || b > kMaxPosition - a) refuse("a position is out of range");
  return a + b;
}

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) refuse("it ends in the middle of a number");
      const auto byte = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse("a number is longer than 64 bits");
  }

  ByteView take(std::size_t size) {
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::size_t left() const { return rest_.size(); }

 private:
  ByteView rest_;
};

// Where the reading of one backup's super blocks stands.
struct Reference {
  std::uint64_t bundle_id = 0;
  std::uint64_t next_offset = 0;   // where the super block after the current one begins
  std::uint64_t logical_size = 0;  // of the current one and, unless said otherwise, of the next
  std::uint32_t current = 0;       // index into BlockMap::super_blocks
  std::uint64_t next_block = 0;    // in the current super block
};

class Parser {
 public:
  Parser(ByteView bytes, std::uint32_t block_size, std::uint32_t block_checksum_size,
         std::uint32_t reference_count, std::uint64_t block_count)
      : reader_(bytes),
        block_size_(block_size),
        block_checksum_size_(block_checksum_size),
        reference_count_(reference_count),
        block_count_(block_count) {}

  BlockMap parse() {
    if ((reader_.varint() & kVersionBit) != 0) {
      throw Error(ErrorKind::unsupported, "block map: its version is not known")
          .with_hint("this repository was made by a newer pgBackRest; use a newer pgrevive");
    }
    while (!take_group()) {
    }
    if (reader_.left() != 0) refuse("bytes follow its end");
    if (map_.blocks.size() != block_count_) refuse("it has fewer blocks than the file");
    return std::move(map_);
  }

 private:
  // Whether it was the last one.
  bool take_group() {
    const std::uint64_t encoded = reader_.varint();
    const std::uint64_t index = encoded >> kBits;
    if (index >= reference_count_) refuse("it refers to a backup that is not in the manifest");
    const auto [found, first_time] = references_.try_emplace(index);
    Reference& reference = found->second;

    bool more = true;
    if (first_time) {
      if ((encoded & kHasBundle) != 0) reference.bundle_id = position();
      if ((encoded & kHasOffset) != 0) reference.next_offset = position();
      reference.logical_size = block_size_;
    } else if ((encoded & kGoesOn) != 0) {
      last_stored_size_ = map_.super_blocks[reference.current].stored_size;
      take_blocks(reference, counted_blocks(reference));
      more = (encoded & kGoesOnLast) == 0;
    } else if ((encoded & kHasGap) != 0) {
      reference.next_offset = add(reference.next_offset, position());
    }
    while (more) more = !take_super_block(static_cast<std::uint32_t>(index), reference);
    return (encoded & kLast) != 0;
  }

  // Whether it was the last one of its group.
  bool take_super_block(std::uint32_t index, Reference& reference) {
    const std::uint64_t encoded = reader_.varint();
    const std::uint64_t stored_size = stored_size_of(encoded >> kBits);

    if ((encoded & kLogicalSizeChanged) != 0) {
      const std::uint64_t logical = reader_.varint();
      if (logical >> 1 > kMaxLogicalSize / block_size_) refuse("a super block is too large");
      reference.logical_size = (logical >> 1) * block_size_;
      if ((logical & kHasRemainder) != 0)
        reference.logical_size = add(reference.logical_size, position());
      if (reference.logical_size > kMaxLogicalSize) refuse("a super block is too large");
    }
    if (reference.logical_size == 0) refuse("a super block is empty");

    map_.super_blocks.push_back({.reference = index,
                                 .bundle_id = reference.bundle_id,
                                 .offset = reference.next_offset,
                                 .stored_size = stored_size,
                                 .logical_size = reference.logical_size});
    reference.current = static_cast<std::uint32_t>(map_.super_blocks.size() - 1);
    reference.next_offset = add(reference.next_offset, stored_size);
    reference.next_block = 0;
    last_stored_size_ = stored_size;

    const bool counted = (encoded & kHasBlockCount) != 0;
    take_blocks(reference, counted ? counted_blocks(reference) : blocks_in(reference));
    return (encoded & kLast) != 0;
  }

  // The first size of the map stands as it is, the others as a zigzag difference to the size before
  // them, whichever backup that was in.
  std::uint64_t stored_size_of(std::uint64_t encoded) const {
    std::uint64_t size = encoded;
    if (last_stored_size_ != 0) {
      const std::uint64_t magnitude = (encoded >> 1) + (encoded & 1);
      if ((encoded & 1) == 0) {
        size = add(last_stored_size_, magnitude);
      } else if (magnitude < last_stored_size_) {
        size = last_stored_size_ - magnitude;
      } else {
        size = 0;
      }
    }
    if (size == 0 || size > kMaxPosition)
      refuse("the stored size of a super block is out of range");
    return size;
  }

  std::uint64_t blocks_in(const Reference& reference) const {
    return (reference.logical_size + block_size_ - 1) / block_size_;
  }

  std::uint64_t counted_blocks(Reference& reference) {
    const std::uint64_t encoded = reader_.varint();
    if ((encoded & kHasSkip) != 0) reference.next_block = add(reference.next_block, position());
    return (encoded >> 1) + 1;
  }

  void take_blocks(Reference& reference, std::uint64_t count) {
    const SuperBlock& super_block = map_.super_blocks[reference.current];
    const std::uint64_t inside = (super_block.logical_size + block_size_ - 1) / block_size_;
    if (reference.next_block > inside || count > inside - reference.next_block)
      refuse("a block lies outside its super block");
    // Each of the two is a bound on what is kept in memory: the file's size, and the map's own.
    if (count > block_count_ - map_.blocks.size()) refuse("it has more blocks than the file");
    if (count > reader_.left() / block_checksum_size_) refuse("it ends in the middle of checksums");
    for (; count != 0; --count) {
      Block block{.super_block = reference.current,
                  .block_in_super_block = static_cast<std::uint32_t>(reference.next_block++)};
      std::ranges::copy(reader_.take(block_checksum_size_), block.checksum.begin());
      map_.blocks.push_back(block);
    }
  }

  std::uint64_t position() {
    const std::uint64_t value = reader_.varint();
    if (value > kMaxPosition) refuse("a position is out of range");
    return value;
  }

  Reader reader_;
  const std::uint32_t block_size_;
  const std::uint32_t block_checksum_size_;
  const std::uint32_t reference_count_;
  const std::uint64_t block_count_;
  BlockMap map_;
  std::unordered_map<std::uint64_t, Reference> references_;
  std::uint64_t last_stored_size_ = 0;
};

}  // namespace

BlockMap BlockMap::parse(ByteView bytes, std::uint32_t block_size,
                         std::uint32_t block_checksum_size, std::uint32_t reference_count,
                         std::uint64_t file_size) {
  if (block_size == 0 || block_checksum_size == 0 || block_checksum_size > sizeof(Block::checksum))
    throw Error(ErrorKind::internal, "a block map without sizes was let through");
  const std::uint64_t block_count = file_size / block_size + (file_size % block_size == 0 ? 0 : 1);
  return Parser(bytes, block_size, block_checksum_size, reference_count, block_count).parse();
}

}  // namespace pgrevive::repository
