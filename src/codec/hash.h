#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codec/sink.h"

namespace pgrevive::codec {

// A SHA-1 value.
struct Sha1 {
  std::array<std::byte, 20> bytes{};

  // 40 hex digits, either case; throws Error{corrupt}.
  static Sha1 parse(std::string_view hex);
  static Sha1 of(ByteView bytes);
  std::string text() const;  // lower case
  auto operator<=>(const Sha1&) const = default;
};

// Of no bytes at all.
extern const Sha1 kSha1OfNothing;

// Computes SHA-1 over a stream. A plain value of 96 bytes without a heap; a copy goes on by itself.
// Used by one thread at a time; may be used again after value(). Sha1Lanes feeds many at once.
class Sha1Hasher {
 public:
  void update(ByteView bytes);
  Sha1 value();  // of all bytes since the last value()

 private:
  friend class Sha1Lanes;

  std::array<std::uint32_t, 5> words_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::array<std::byte, 64> rest_;  // its first size_ % 64 bytes wait for the rest of their block
  std::uint64_t size_ = 0;
};

// SHA-256 and HMAC-SHA-256, as Signature V4 wants them.
using Sha256 = std::array<std::byte, 32>;
Sha256 sha256(ByteView bytes);
Sha256 hmac_sha256(ByteView key, ByteView message);

// XXH3-128 in canonical (big-endian) form, whose first bytes are the block checksums of block
// incremental backups.
std::array<std::byte, 16> xxh3_128(ByteView bytes);

// CRC-32C (Castagnoli), as in pg_control and WAL records.
std::uint32_t crc32c(ByteView bytes);

}  // namespace pgrevive::codec
