#include "codec/bz2_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace pgrevive::codec {
namespace {

constexpr std::size_t kChunkSize = 1u << 20;  // a block of pages is a little shorter
constexpr std::size_t kMostChunks = 4;
constexpr std::size_t kHeaderSize = 4;

constexpr std::uint64_t kMagicMask = (std::uint64_t{1} << kBz2MagicBits) - 1;

// A magic that ends `left` bits before the end of the window covers the window's last byte but one
// whole, whichever of the eight alignments it has. By that byte's value: the alignments, as bits,
// at which a magic is possible. That leaves next to nothing to compare.
constexpr std::array<std::uint8_t, 256> make_alignments() {
  std::array<std::uint8_t, 256> result{};
  for (const std::uint64_t magic : {kBz2BlockMagic, kBz2EndMagic}) {
    for (unsigned left = 0; left < 8; ++left) {
      result[(magic >> (8 - left)) & 0xff] |= static_cast<std::uint8_t>(1u << left);
    }
  }
  return result;
}
constexpr auto kAlignments = make_alignments();

constexpr std::size_t bytes_of(std::uint64_t bits) {
  return static_cast<std::size_t>((bits + 7) / 8);
}

// The bits from `begin` on as a stream of its own, with a header and moved to begin at a byte.
Bytes aligned(std::byte level, std::uint64_t begin, ByteView bytes) {
  const unsigned shift = begin % 8;
  Bytes result(kHeaderSize + bytes.size());
  result[0] = std::byte{'B'};
  result[1] = std::byte{'Z'};
  result[2] = std::byte{'h'};
  result[3] = level;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::byte next = i + 1 < bytes.size() ? bytes[i + 1] : std::byte{0};
    result[kHeaderSize + i] = bytes[i] << shift | next >> (8 - shift);
  }
  return result;
}

}  // namespace

bool Bz2Scanner::next(ByteView& bytes, Found& found) {
  for (;;) {
    // From the left: the largest number of bits behind it is the earliest.
    while (left_ != 0) {
      const auto behind = static_cast<unsigned>(std::bit_width(left_)) - 1;
      left_ &= ~(1u << behind);
      const std::uint64_t bits = (window_ >> behind) & kMagicMask;
      const std::uint64_t end = scanned_ * 8 - behind;
      if ((bits == kBz2BlockMagic || bits == kBz2EndMagic) && end >= kBz2MagicBits) {
        found = {.bit = end - kBz2MagicBits, .is_end = bits == kBz2EndMagic};
        return true;
      }
    }
    if (bytes.empty()) return false;
    std::size_t i = 0;
    while (i < bytes.size() && left_ == 0) {
      window_ = window_ << 8 | std::to_integer<std::uint64_t>(bytes[i++]);
      left_ = kAlignments[(window_ >> 8) & 0xff];
    }
    scanned_ += i;
    bytes = bytes.subspan(i);
  }
}

std::uint32_t bz2_crc_at(std::uint64_t begin, ByteView bytes) {
  constexpr std::size_t kOffset = kBz2MagicBits / 8;
  const unsigned shift = begin % 8;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    // The last 32 bits of a stream may end with their fourth byte.
    const std::byte byte = kOffset + i < bytes.size() ? bytes[kOffset + i] : std::byte{0};
    bits = bits << 8 | std::to_integer<std::uint64_t>(byte);
  }
  return static_cast<std::uint32_t>(bits >> (8 - shift));
}

void refuse_bz2(std::byte level, std::uint64_t begin, ByteView bytes) {
  const Bytes stream = aligned(level, begin, bytes);
  const auto room = std::make_unique_for_overwrite<std::byte[]>(kChunkSize);
  Bz2Decoder decoder;
  for (ByteView input = stream;;) {
    const DecodeStep step = decoder.decode(input, {room.get(), kChunkSize});
    input = input.subspan(step.consumed);
    if (input.empty() && step.produced < kChunkSize) break;
  }
  throw Error(ErrorKind::corrupt, "bz2 stream is truncated");
}

Bz2Block::Bz2Block(std::byte level, std::uint64_t begin, std::uint64_t end, Bytes bytes)
    : level_(level), begin_(begin), end_(end), bytes_(std::move(bytes)) {}

Bz2Block Bz2Block::joined(const Bz2Block& next) const {
  // The magic at our end is in both.
  const auto kept = static_cast<std::ptrdiff_t>(next.begin_ / 8 - begin_ / 8);
  Bytes bytes(bytes_.begin(), bytes_.begin() + kept);
  bytes.insert(bytes.end(), next.bytes_.begin(), next.bytes_.end());
  return {level_, begin_, next.end_, std::move(bytes)};
}

// The input comes in two parts. The first ends with the byte that holds the block's last bit: if
// the block ends where we believe, the decoder has all of its output behind it then and has checked
// its CRC. If not, it has given nothing, because a block gives nothing before its last bit is read.
// The second part is the next magic, so that a block that ends a few bits too early, with no magic
// behind it, is found out.
ByteView Bz2Block::input() const {
  const std::size_t block_size = kHeaderSize + bytes_of(end_ - begin_);
  const std::size_t limit = used_ < block_size || !has_output_ ? block_size : aligned_.size();
  return ByteView(aligned_).subspan(used_, limit - used_);
}

void Bz2Block::decode() {
  if (!decoder_) {
    aligned_ = aligned(level_, begin_, bytes_);
    aligned_.resize(kHeaderSize + bytes_of(end_ + kBz2MagicBits - begin_));
    decoder_ = std::make_unique<Bz2Decoder>();
  }
  while (state_ == State::running) {
    if (output_.empty() || output_.back().size == kChunkSize) {
      if (output_.size() == kMostChunks) return;
      output_.push_back({std::make_unique_for_overwrite<std::byte[]>(kChunkSize), 0});
    }
    Output& output = output_.back();
    const std::span<std::byte> room(output.bytes.get() + output.size, kChunkSize - output.size);
    const DecodeStep step = decoder_->decode(input(), room);
    used_ += step.consumed;
    output.size += step.produced;
    has_output_ |= step.produced > 0;
    if (step.produced == room.size()) continue;  // there may be more
    if (used_ == aligned_.size()) {
      state_ = has_output_ ? State::whole : State::incomplete;
    } else if (input().empty()) {
      state_ = State::incomplete;
    }
  }
  decoder_.reset();
  aligned_ = {};
}

}  // namespace pgrevive::codec
