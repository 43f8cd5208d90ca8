#include "codec/cipher.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "codec/compress.h"
#include "support/compressors.h"
#include "support/sinks.h"
#include "support/throws.h"

namespace pgrevive::codec {
namespace {

using test::feed;
using test::StringSink;
using test::throws;

const Secret kPass("sesame");

std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 256);
  return text;
}

TEST(Decryptor, ReadsWhatTheOpensslProgramWrites) {
  // printf '...' | openssl enc -aes-256-cbc -md sha1 -pass pass:sesame
  const Bytes stored = from_hex(
      "53616c7465645f5f93fca5c1b82122d91632aff1141e9817a2c7fa1ce1c8acbfdca14c6782e1c72b"
      "9bdbedcbc6b801d36f2f5097ff23c904b0ce575071232ee7");
  StringSink result;
  const auto decryptor = make_decryptor(kPass, Form::standard, result);

  decryptor->write(stored);
  decryptor->finish();

  EXPECT_EQ(result.text, "the quick brown fox jumps over the lazy dog\n");
  EXPECT_TRUE(result.finished);
}

struct Dress {
  const char* name;
  Form form;
  std::string (*encrypt)(std::string_view text, const std::string& passphrase);
};

class DecryptorForms : public testing::TestWithParam<Dress> {
 protected:
  std::string encrypt(std::string_view text) const {
    return GetParam().encrypt(text, kPass.reveal());
  }
};

TEST_P(DecryptorForms, GiveBackWhatWasEncryptedHoweverItIsCut) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 65'535u, 65'536u, 300'000u}) {
    const std::string text = text_of(size);
    const std::string stored = encrypt(text);
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{7}, std::size_t{16}, std::size_t{65'537}, stored.size()}) {
      StringSink result;
      const auto decryptor = make_decryptor(kPass, GetParam().form, result);

      feed(*decryptor, stored, piece);
      EXPECT_FALSE(result.finished);
      decryptor->finish();

      ASSERT_TRUE(result.text == text) << size << " bytes in pieces of " << piece;
      EXPECT_TRUE(result.finished);
    }
  }
}

TEST_P(DecryptorForms, RefuseEveryTruncation) {
  const std::string stored = encrypt(text_of(100));
  for (std::size_t size = 0; size < stored.size(); ++size) {
    StringSink result;
    const auto decryptor = make_decryptor(kPass, GetParam().form, result);
    feed(*decryptor, stored.substr(0, size), 5);

    // A cut between two blocks looks like another padding.
    EXPECT_THAT([&] { decryptor->finish(); }, throws(ErrorKind::corrupt)) << size;
    EXPECT_FALSE(result.finished);
  }
}

TEST_P(DecryptorForms, RefuseAWrongPassphrase) {
  StringSink result;
  const auto decryptor = make_decryptor(Secret("Sesame"), GetParam().form, result);
  feed(*decryptor, encrypt(text_of(100)), 1000);

  EXPECT_THAT([&] { decryptor->finish(); },
              throws(ErrorKind::corrupt, "wrong passphrase or damaged data"));
  EXPECT_FALSE(result.finished);
}

TEST_P(DecryptorForms, RefuseADamagedLastBlock) {
  std::string stored = encrypt(text_of(100));
  stored.back() = static_cast<char>(stored.back() ^ 1);
  StringSink result;
  const auto decryptor = make_decryptor(kPass, GetParam().form, result);
  feed(*decryptor, stored, 1000);

  EXPECT_THAT([&] { decryptor->finish(); }, throws(ErrorKind::corrupt));
}

std::string raw(std::string_view text, const std::string& passphrase) {
  return test::make_cipher(text, passphrase);
}
std::string salted(std::string_view text, const std::string& passphrase) {
  return test::make_salted(text, passphrase);
}

INSTANTIATE_TEST_SUITE_P(Both, DecryptorForms,
                         testing::Values(Dress{"standard", Form::standard, salted},
                                         Dress{"raw", Form::raw, raw}),
                         [](const auto& test) { return test.param.name; });

TEST(Decryptor, SaysThatAStreamIsShort) {
  for (const std::string& stored :
       {std::string(), std::string("Salt"), std::string("Salted__1234567"),
        std::string("Salted__12345678"), std::string("Salted__12345678abc")}) {
    StringSink result;
    const auto decryptor = make_decryptor(kPass, Form::standard, result);
    feed(*decryptor, stored, 3);

    EXPECT_THAT([&] { decryptor->finish(); },
                throws(ErrorKind::corrupt, "encrypted stream is truncated"));
  }
}

TEST(Decryptor, RefusesAStreamThatIsNotEncryptedAtItsHeader) {
  for (const std::size_t piece : {1u, 1000u}) {
    StringSink result;
    const auto decryptor = make_decryptor(kPass, Form::standard, result);

    EXPECT_THAT([&] { feed(*decryptor, "[backrest]\nbackrest-format=5\n", piece); },
                throws(ErrorKind::corrupt, "not encrypted"));
  }
}

TEST(Decryptor, KnowsTheHeaderOfANewerRepository) {
  for (const std::size_t piece : {1u, 1000u}) {
    StringSink result;
    const auto decryptor = make_decryptor(kPass, Form::standard, result);

    EXPECT_THAT(
        [&] { feed(*decryptor, "PGBR006_12345678", piece); },
        throws(ErrorKind::unsupported, "repository format 6 was made by a newer pgBackRest"));
  }
  StringSink result;
  const auto decryptor = make_decryptor(kPass, Form::standard, result);
  EXPECT_THAT([&] { feed(*decryptor, "PGBRxxx_12345678", 1000); }, throws(ErrorKind::corrupt));
}

TEST(Decryptor, PointsAtThePassphraseWhenTheNextStageSeesNoise) {
  StringSink result;
  const auto decompressor = make_decompressor(CompressType::gz, Form::standard, result);
  const auto decryptor = make_decryptor(Secret("wrong"), Form::standard, *decompressor);

  EXPECT_THAT(
      [&] {
        feed(*decryptor, test::make_salted(test::make_gzip(text_of(100'000)), "sesame"), 10'000);
      },
      throws(ErrorKind::corrupt, "passphrase may be wrong"));
}

}  // namespace
}  // namespace pgrevive::codec
