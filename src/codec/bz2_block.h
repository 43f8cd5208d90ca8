#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "codec/bz2_decoder.h"

// A bz2 stream is a chain of blocks that begin at any bit, each with the same 48 bits:
//
//   | B Z h 9 | 31 41 59 26 53 59 | CRC, 32 bits | ... | 31 41 59 26 53 59 | CRC | ...
//             | 17 72 45 38 50 90 | CRC of CRCs | up to 7 bits to fill a byte |
//
// Nothing says how long a block is, but where those bits stand a block probably begins, and from
// there it can be decoded alone. Probably: the same bits can occur inside a block by chance.
namespace pgrevive::codec {

constexpr std::uint64_t kBz2BlockMagic = 0x314159265359;
constexpr std::uint64_t kBz2EndMagic = 0x177245385090;
constexpr unsigned kBz2MagicBits = 48;

// Finds the bits that a block or the end of the stream begins with.
class Bz2Scanner {
 public:
  struct Found {
    std::uint64_t bit;  // where the magic begins, counted from the first byte ever scanned
    bool is_end;
  };
  // The next one that ends in `bytes`, taking off the front of it what has been scanned; false if
  // there is none, and then all of it has been. Pieces follow each other without a gap.
  bool next(ByteView& bytes, Found& found);

 private:
  std::uint64_t window_ = 0;  // the last eight bytes
  std::uint64_t scanned_ = 0;
  unsigned left_ = 0;  // alignments of the last byte that are still to be looked at, as bits
};

// The 32 bits behind the magic at bit `begin` of the stream; `bytes` begins with the byte that has
// that bit and reaches as far.
std::uint32_t bz2_crc_at(std::uint64_t begin, ByteView bytes);

// For what is left of a stream, from the block at bit `begin` on, that has no end: throws the
// Error{corrupt} that a decoder of the whole stream would, "damaged" or "truncated".
[[noreturn]] void refuse_bz2(std::byte level, std::uint64_t begin, ByteView bytes);

// What lies between two magics, and what comes of decoding it as a block. A block is deterministic
// from its first bit: whatever comes out before it is known to be whole is what a decoder that read
// the stream from its beginning would have given.
//
// Used by one thread at a time.
class Bz2Block {
 public:
  // Bits `begin` to `end` of the stream, where `bytes` begins with the byte that has bit `begin`
  // and has at least the magic that stands at `end`. `level` is the fourth byte of the stream.
  Bz2Block(std::byte level, std::uint64_t begin, std::uint64_t end, Bytes bytes);

  enum class State {
    running,     // decode() has more to do
    whole,       // a block that ends where the next magic stands, its CRC checked
    incomplete,  // it goes on behind that magic
  };
  // Decodes until the state is final or four MiB of output wait to be taken. Throws Error{corrupt}
  // where the data is not that of a block, as a decoder of the whole stream would.
  void decode();
  State state() const { return state_; }

  struct Output {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size;
  };
  std::vector<Output> take_output() { return std::exchange(output_, {}); }

  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }
  const Bytes& bytes() const { return bytes_; }
  // That of a whole block.
  std::uint32_t crc() const { return bz2_crc_at(begin_, bytes_); }

  // Both together, to be decoded again: `next` begins where this ends.
  Bz2Block joined(const Bz2Block& next) const;

 private:
  ByteView input() const;

  std::byte level_;
  std::uint64_t begin_;
  std::uint64_t end_;
  Bytes bytes_;

  State state_ = State::running;
  std::unique_ptr<Bz2Decoder> decoder_;
  Bytes aligned_;         // a stream of its own: header and the bits, moved to begin at a byte
  std::size_t used_ = 0;  // of aligned_
  bool has_output_ = false;
  std::vector<Output> output_;
};

}  // namespace pgrevive::codec
