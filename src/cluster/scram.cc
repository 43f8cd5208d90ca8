#include "cluster/scram.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string text(4 * ((size + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a zero
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

Digest hmac(const Digest& key, std::string_view text) {
  Digest digest{};
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
           &length) == nullptr)
    throw Error(ErrorKind::internal, "HMAC failed");
  return digest;
}

}  // namespace

std::string scram_verifier(const Secret& password, ByteView salt, int iterations) {
  const auto& text = password.reveal();
  const auto* salt_bytes = reinterpret_cast<const unsigned char*>(salt.data());
  Digest salted{};
  if (PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), salt_bytes,
                        static_cast<int>(salt.size()), iterations, EVP_sha256(),
                        static_cast<int>(salted.size()), salted.data()) != 1)
    throw Error(ErrorKind::internal, "PBKDF2 failed");

  const auto client_key = hmac(salted, "Client Key");
  Digest stored_key{};
  SHA256(client_key.data(), client_key.size(), stored_key.data());
  const auto server_key = hmac(salted, "Server Key");
  return fmt::format("SCRAM-SHA-256${}:{}${}:{}", iterations, base64(salt_bytes, salt.size()),
                     base64(stored_key.data(), stored_key.size()),
                     base64(server_key.data(), server_key.size()));
}

std::string make_scram_verifier(const Secret& password) {
  const auto& text = password.reveal();
  if (std::ranges::any_of(text, [](char c) { return c < 0x20 || c > 0x7e; })) return {};
  std::array<std::byte, 16> salt{};
  if (RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), static_cast<int>(salt.size())) != 1)
    throw Error(ErrorKind::system, "the system gives no random bytes");
  return scram_verifier(password, salt);
}

}  // namespace pgrevive::cluster
