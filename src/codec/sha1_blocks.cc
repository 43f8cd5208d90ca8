// The interface of OpenSSL that has been called old since version 3 is the only one whose state can
// be taken out and put back, as streams must that change between the lanes and this. It runs on the
// same assembly as EVP, with the CPU's SHA instructions where it has them.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "codec/sha1_blocks.h"

#include <algorithm>

#include <openssl/sha.h>

#include "base/error.h"

namespace pgrevive::codec {

void sha1_blocks(std::uint32_t* words, const std::byte* data, std::size_t blocks) {
  if (blocks == 0) return;
  SHA_CTX context{};
  context.h0 = words[0];
  context.h1 = words[1];
  context.h2 = words[2];
  context.h3 = words[3];
  context.h4 = words[4];
  if (SHA1_Update(&context, data, blocks * kSha1Block) != 1) {
    throw Error(ErrorKind::internal, "OpenSSL cannot compute SHA-1");
  }
  words[0] = context.h0;
  words[1] = context.h1;
  words[2] = context.h2;
  words[3] = context.h3;
  words[4] = context.h4;
}

std::size_t Sha1Tail::end(ByteView rest, std::uint64_t size) {
  bytes.fill(std::byte{0});
  std::ranges::copy(rest, bytes.begin());
  bytes[rest.size()] = std::byte{0x80};
  const std::size_t blocks = rest.size() + 1 + sizeof size <= kSha1Block ? 1 : 2;
  std::uint64_t bits = size * 8;
  for (std::size_t i = 1; i <= sizeof bits; ++i, bits >>= 8) {
    bytes[blocks * kSha1Block - i] = static_cast<std::byte>(bits);
  }
  return blocks;
}

Sha1 sha1_value(const std::uint32_t* words) {
  Sha1 result;
  for (std::size_t i = 0; i < result.bytes.size(); ++i) {
    result.bytes[i] = static_cast<std::byte>(words[i / 4] >> (24 - i % 4 * 8));
  }
  return result;
}

}  // namespace pgrevive::codec
