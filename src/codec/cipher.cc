#include "codec/cipher.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/error.h"

// An encrypted stream:
//
//   standard   | S a l t e d _ _ | salt, 8 bytes | ciphertext, a multiple of 16 bytes, 16 at least
//   | raw                          | salt, 8 bytes | ciphertext |

namespace pgrevive::codec {
namespace {

constexpr std::string_view kMagic = "Salted__";
constexpr std::size_t kSaltSize = 8;
constexpr std::size_t kBlockSize = 16;
// Small enough that a piece is still in the cache of the core when the next stage reads it.
constexpr std::size_t kPieceSize = 64u << 10;

// Fetched once: looking an algorithm up by name costs more than decrypting a page.
const EVP_CIPHER* cipher_method() {
  static const EVP_CIPHER* const method = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return method;
}
const EVP_MD* digest_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  return method;
}

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

[[noreturn]] void throw_undecipherable() {
  ERR_clear_error();
  throw Error(ErrorKind::corrupt, "cannot decrypt: wrong passphrase or damaged data")
      .with_hint("check the cipher passphrase of the repository");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Decryptor : public Sink {
 public:
  Decryptor(const Secret& passphrase, Form form, Sink& next)
      : passphrase_(passphrase),
        header_size_(form == Form::raw ? kSaltSize : kMagic.size() + kSaltSize),
        next_(next) {}

  void write(ByteView bytes) override {
    if (header_have_ < header_size_) bytes = take_header(bytes);
    while (!bytes.empty()) {
      const ByteView piece = bytes.first(std::min(bytes.size(), kPieceSize));
      bytes = bytes.subspan(piece.size());
      int length = 0;
      if (EVP_DecryptUpdate(context_.get(), raw(buffer_.get()), &length, raw(piece.data()),
                            static_cast<int>(piece.size())) != 1) {
        throw_undecipherable();
      }
      cipher_bytes_ += piece.size();
      hand_on(length);
    }
  }

  void finish() override {
    if (header_have_ < header_size_ || cipher_bytes_ == 0 || cipher_bytes_ % kBlockSize != 0) {
      throw Error(ErrorKind::corrupt, "encrypted stream is truncated");
    }
    int length = 0;
    if (EVP_DecryptFinal_ex(context_.get(), raw(buffer_.get()), &length) != 1) {
      throw_undecipherable();
    }
    hand_on(length);
    next_.finish();
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };

  // Takes what belongs to the header off the front of `bytes`.
  ByteView take_header(ByteView bytes) {
    const std::size_t taken = std::min(bytes.size(), header_size_ - header_have_);
    std::copy_n(bytes.begin(), taken, header_.begin() + static_cast<std::ptrdiff_t>(header_have_));
    header_have_ += taken;
    const bool has_magic = header_size_ > kSaltSize;
    if (has_magic && header_have_ >= kMagic.size()) check_magic();
    if (header_have_ == header_size_) begin(header_.data() + header_size_ - kSaltSize);
    return bytes.subspan(taken);
  }

  void check_magic() const {
    const std::string_view magic = as_text(ByteView(header_).first(kMagic.size()));
    if (magic == kMagic) return;
    // From format 6 on, pgBackRest writes its own mark and the number of the format instead.
    const std::string_view digits = magic.substr(4, 3);
    if (magic.starts_with("PGBR") && std::ranges::all_of(digits, is_digit)) {
      const int format = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
      throw Error(ErrorKind::unsupported,
                  fmt::format("repository format {} was made by a newer pgBackRest", format))
          .with_hint("use a version of this program that reads this format");
    }
    throw Error(ErrorKind::corrupt, "cannot decrypt: the data is not encrypted or is damaged")
        .with_hint("check whether the repository has a cipher at all");
  }

  void begin(const std::byte* salt) {
    std::array<unsigned char, EVP_MAX_KEY_LENGTH> key{};
    std::array<unsigned char, EVP_MAX_IV_LENGTH> vector{};
    const std::string& pass = passphrase_.reveal();
    context_.reset(EVP_CIPHER_CTX_new());
    const bool good =
        context_ && cipher_method() != nullptr && digest_method() != nullptr &&
        EVP_BytesToKey(cipher_method(), digest_method(), raw(salt),
                       reinterpret_cast<const unsigned char*>(pass.data()),
                       static_cast<int>(pass.size()), 1, key.data(), vector.data()) > 0 &&
        EVP_DecryptInit_ex2(context_.get(), cipher_method(), key.data(), vector.data(), nullptr) ==
            1;
    OPENSSL_cleanse(key.data(), key.size());
    OPENSSL_cleanse(vector.data(), vector.size());
    if (!good) throw Error(ErrorKind::internal, "OpenSSL cannot begin AES-256-CBC");
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(kPieceSize + kBlockSize);
  }

  void hand_on(int length) {
    if (length == 0) return;
    const ByteView clear(buffer_.get(), static_cast<std::size_t>(length));
    if (proven_) return next_.write(clear);
    try {
      next_.write(clear);
      proven_ = true;
    } catch (Error& error) {
      // With the wrong key everything downstream gets noise, so its first complaint is more likely
      // about the key than about the data.
      if (error.kind() == ErrorKind::corrupt && error.hint().empty()) {
        error.with_hint("the cipher passphrase may be wrong");
      }
      throw;
    }
  }

  Secret passphrase_;
  std::size_t header_size_;
  Sink& next_;
  std::array<std::byte, kMagic.size() + kSaltSize> header_{};
  std::size_t header_have_ = 0;
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
  std::unique_ptr<std::byte[]> buffer_;
  std::uint64_t cipher_bytes_ = 0;
  bool proven_ = false;  // the next stage has made sense of something
};

}  // namespace

std::unique_ptr<Sink> make_decryptor(const Secret& passphrase, Form form, Sink& next) {
  return std::make_unique<Decryptor>(passphrase, form, next);
}

}  // namespace pgrevive::codec
