#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <bzlib.h>
#include <lz4frame.h>
#include <openssl/evp.h>
#include <zlib.h>
#include <zstd.h>

// Makes streams as pgBackRest makes them, by the libraries' own compressors.
namespace pgrevive::test {

// 16 adds the wrapper of gzip, 0 that of zlib.
inline std::string deflate(std::string_view text, int wrapper, int level = 6) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, 15 + wrapper, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string result(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}
inline std::string make_gzip(std::string_view text, int level = 6) {
  return deflate(text, 16, level);
}
inline std::string make_zlib(std::string_view text, int level = 6) {
  return deflate(text, 0, level);
}

inline std::string make_bz2(std::string_view text, int level = 9) {
  std::string result(text.size() + text.size() / 50 + 700, '\0');
  auto size = static_cast<unsigned>(result.size());
  if (BZ2_bzBuffToBuffCompress(result.data(), &size, const_cast<char*>(text.data()),
                               static_cast<unsigned>(text.size()), level, 0, 0) != BZ_OK) {
    throw std::runtime_error("BZ2_bzBuffToBuffCompress");
  }
  result.resize(size);
  return result;
}

enum class ContentChecksum { yes, no };

inline std::string make_lz4(std::string_view text, ContentChecksum checksum) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.contentChecksumFlag =
      checksum == ContentChecksum::yes ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
  std::string result(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
  const std::size_t size =
      LZ4F_compressFrame(result.data(), result.size(), text.data(), text.size(), &preferences);
  if (LZ4F_isError(size) != 0) throw std::runtime_error("LZ4F_compressFrame");
  result.resize(size);
  return result;
}

inline std::string make_zst(std::string_view text, int level = 3) {
  std::string result(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size =
      ZSTD_compress(result.data(), result.size(), text.data(), text.size(), level);
  if (ZSTD_isError(size) != 0) throw std::runtime_error("ZSTD_compress");
  result.resize(size);
  return result;
}

// `salt` has 8 bytes. The result is raw: salt and ciphertext.
inline std::string make_cipher(std::string_view text, const std::string& passphrase,
                               const std::string& salt = "\x01\x02\x03\x04\x05\x06\x07\x08") {
  unsigned char key[EVP_MAX_KEY_LENGTH];
  unsigned char vector[EVP_MAX_IV_LENGTH];
  EVP_BytesToKey(EVP_aes_256_cbc(), EVP_sha1(), reinterpret_cast<const unsigned char*>(salt.data()),
                 reinterpret_cast<const unsigned char*>(passphrase.data()),
                 static_cast<int>(passphrase.size()), 1, key, vector);
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex2(context, EVP_aes_256_cbc(), key, vector, nullptr);
  std::string result(text.size() + 16, '\0');
  int length = 0;
  int tail = 0;
  auto* out = reinterpret_cast<unsigned char*>(result.data());
  const bool good =
      EVP_EncryptUpdate(context, out, &length, reinterpret_cast<const unsigned char*>(text.data()),
                        static_cast<int>(text.size())) == 1 &&
      EVP_EncryptFinal_ex(context, out + length, &tail) == 1;
  EVP_CIPHER_CTX_free(context);
  if (!good) throw std::runtime_error("EVP_EncryptUpdate");
  result.resize(static_cast<std::size_t>(length + tail));
  return salt + result;
}
inline std::string make_salted(std::string_view text, const std::string& passphrase,
                               const std::string& salt = "\x01\x02\x03\x04\x05\x06\x07\x08") {
  return "Salted__" + make_cipher(text, passphrase, salt);
}

}  // namespace pgrevive::test
