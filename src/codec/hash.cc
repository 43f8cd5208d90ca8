#include "codec/hash.h"

#include <algorithm>

#include <isa-l/crc.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::codec {
namespace {

// Fetched once: looking an algorithm up by name costs more than hashing a page.
const EVP_MD* sha1_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  return method;
}

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
  Sha1 result;
  check(EVP_Digest(bytes.data(), bytes.size(), raw(result.bytes.data()), nullptr, sha1_method(),
                   nullptr) == 1,
        "cannot compute SHA-1");
  return result;
}

std::string Sha1::text() const { return to_hex(bytes); }

struct Sha1Hasher::State {
  struct Free {
    void operator()(EVP_MD_CTX* freed) const { EVP_MD_CTX_free(freed); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};

  void begin() {
    check(context && EVP_DigestInit_ex2(context.get(), sha1_method(), nullptr) == 1,
          "cannot begin SHA-1");
  }
};

Sha1Hasher::Sha1Hasher() : state_(std::make_unique<State>()) { state_->begin(); }
Sha1Hasher::Sha1Hasher(Sha1Hasher&&) noexcept = default;
Sha1Hasher& Sha1Hasher::operator=(Sha1Hasher&&) noexcept = default;
Sha1Hasher::~Sha1Hasher() = default;

void Sha1Hasher::update(ByteView bytes) {
  check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1,
        "cannot compute SHA-1");
}

Sha1 Sha1Hasher::value() {
  Sha1 result;
  check(EVP_DigestFinal_ex(state_->context.get(), raw(result.bytes.data()), nullptr) == 1,
        "cannot compute SHA-1");
  state_->begin();
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
