#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace pgrevive::repository {

// A run of blocks that is compressed and encrypted as one, at [offset, offset + stored_size) of its
// object.
struct SuperBlock {
  std::uint32_t reference = 0;  // index into the manifest's references
  std::uint64_t bundle_id = 0;  // 0: the file's own ".pgbi" object of that backup
  std::uint64_t offset = 0;
  std::uint64_t stored_size = 0;
  std::uint64_t logical_size = 0;  // plain bytes, an upper bound for the last one of a file
};

// One block of the file: where in which super block its bytes are.
struct Block {
  std::uint32_t super_block = 0;  // index into BlockMap::super_blocks
  std::uint32_t block_in_super_block = 0;
  std::array<std::byte, 16> checksum{};  // the first block_checksum_size bytes count
};

// The map of a block-incremental file: block i of the file lies at byte i * block size.
// Format: docs/format/block_map.md.
struct BlockMap {
  std::vector<SuperBlock> super_blocks;
  std::vector<Block> blocks;

  // `bytes` are decrypted (maps are never compressed). Throws Error{corrupt} on anything that does
  // not decode to its end, on a reference index of `reference_count` or above, and on more blocks
  // than a file of `file_size` bytes has.
  static BlockMap parse(ByteView bytes, std::uint32_t block_size, std::uint32_t block_checksum_size,
                        std::uint32_t reference_count, std::uint64_t file_size);
};

}  // namespace pgrevive::repository
