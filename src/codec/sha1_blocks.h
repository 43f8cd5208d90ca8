#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "codec/hash.h"

// What Sha1Hasher and Sha1Lanes have in common: one stream's blocks, and how a stream ends.
namespace pgrevive::codec {

constexpr std::size_t kSha1Block = 64;

// Takes whole blocks of one stream into its state of five words.
void sha1_blocks(std::uint32_t* words, const std::byte* data, std::size_t blocks);

// The last blocks of a stream: the bytes that fill no block, the padding, the length.
struct Sha1Tail {
  std::array<std::byte, 2 * kSha1Block> bytes;

  // `rest` is shorter than a block, `size` is that of the whole stream. Returns how many blocks
  // there are, one or two.
  std::size_t end(ByteView rest, std::uint64_t size);
};

Sha1 sha1_value(const std::uint32_t* words);

}  // namespace pgrevive::codec
