#include "codec/hash.h"

#include <algorithm>

#include <isa-l/crc.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/sha1_blocks.h"

namespace pgrevive::codec {
namespace {

void check(bool good, const char* what) {
  if (good) return;
  const char* reason = ERR_reason_error_string(ERR_get_error());
  throw Error(ErrorKind::internal,
              std::string(what) + ": " + (reason != nullptr ? reason : "OpenSSL gives no reason"));
}

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

constexpr std::byte operator""_b(unsigned long long value) { return static_cast<std::byte>(value); }

}  // namespace

const Sha1 kSha1OfNothing{{0xda_b, 0x39_b, 0xa3_b, 0xee_b, 0x5e_b, 0x6b_b, 0x4b_b,
                           0x0d_b, 0x32_b, 0x55_b, 0xbf_b, 0xef_b, 0x95_b, 0x60_b,
                           0x18_b, 0x90_b, 0xaf_b, 0xd8_b, 0x07_b, 0x09_b}};

Sha1 Sha1::parse(std::string_view hex) {
  Sha1 result;
  // Written out and not by from_hex: a manifest has one for each of its millions of files.
  bool good = hex.size() == 2 * result.bytes.size();
  for (std::size_t i = 0; good && i < result.bytes.size(); ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    result.bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  if (!good) throw Error(ErrorKind::corrupt, "'" + printable(hex, 60) + "' is not a SHA-1 value");
  return result;
}

Sha1 Sha1::of(ByteView bytes) {
  Sha1Hasher hasher;
  hasher.update(bytes);
  return hasher.value();
}

std::string Sha1::text() const { return to_hex(bytes); }

void Sha1Hasher::update(ByteView bytes) {
  const std::size_t used = size_ % kSha1Block;
  size_ += bytes.size();
  if (used > 0) {
    const std::size_t taken = std::min(bytes.size(), kSha1Block - used);
    std::copy_n(bytes.data(), taken, rest_.data() + used);
    if (used + taken < kSha1Block) return;
    bytes = bytes.subspan(taken);
    sha1_blocks(words_.data(), rest_.data(), 1);
  }
  const std::size_t blocks = bytes.size() / kSha1Block;
  sha1_blocks(words_.data(), bytes.data(), blocks);
  const ByteView tail = bytes.subspan(blocks * kSha1Block);
  std::copy_n(tail.data(), tail.size(), rest_.data());
}

Sha1 Sha1Hasher::value() {
  Sha1Tail tail;
  const std::size_t blocks = tail.end(ByteView(rest_).first(size_ % kSha1Block), size_);
  sha1_blocks(words_.data(), tail.bytes.data(), blocks);
  const Sha1 result = sha1_value(words_.data());
  *this = Sha1Hasher();
  return result;
}

Sha256 sha256(ByteView bytes) {
  Sha256 result{};
  check(EVP_Digest(bytes.data(), bytes.size(), raw(result.data()), nullptr, EVP_sha256(),
                   nullptr) == 1,
        "cannot compute SHA-256");
  return result;
}

Sha256 hmac_sha256(ByteView key, ByteView message) {
  Sha256 result{};
  unsigned length = 0;
  // HMAC takes a null pointer for a missing argument, and an empty view has one.
  const unsigned char nothing = 0;
  check(HMAC(EVP_sha256(), key.empty() ? &nothing : raw(key), static_cast<int>(key.size()),
             message.empty() ? &nothing : raw(message), message.size(), raw(result.data()),
             &length) != nullptr,
        "cannot compute HMAC-SHA-256");
  return result;
}

std::array<std::byte, 16> xxh3_128(ByteView bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  std::array<std::byte, 16> result{};
  std::memcpy(result.data(), canonical.digest, result.size());
  return result;
}

std::uint32_t crc32c(ByteView bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // the length is an int
  std::uint32_t crc = 0xffffffff;
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min(bytes.size(), kMost));
    crc = crc32_iscsi(const_cast<unsigned char*>(raw(part)), static_cast<int>(part.size()), crc);
    bytes = bytes.subspan(part.size());
  }
  return ~crc;
}

}  // namespace pgrevive::codec
