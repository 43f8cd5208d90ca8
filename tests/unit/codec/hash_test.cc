#include "codec/hash.h"

#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/throws.h"

namespace pgrevive::codec {
namespace {

using test::throws;

struct Digest {
  const char* name;
  std::string input;
  const char* sha1;
  const char* sha256;
};

class KnownDigests : public testing::TestWithParam<Digest> {};

TEST_P(KnownDigests, Match) {
  const auto& known = GetParam();

  EXPECT_EQ(Sha1::of(as_bytes(known.input)).text(), known.sha1);
  EXPECT_EQ(to_hex(sha256(as_bytes(known.input))), known.sha256);
}

// The examples of FIPS 180-2.
INSTANTIATE_TEST_SUITE_P(
    Fips, KnownDigests,
    testing::Values(Digest{"nothing", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
                           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                    Digest{"one_block", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                    Digest{"two_blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                           "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
                           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                    Digest{"a_million_letters", std::string(1'000'000, 'a'),
                           "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
                           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}),
    [](const auto& test) { return test.param.name; });

TEST(Sha1, OfNothingIsTheConstant) { EXPECT_EQ(Sha1::of({}), kSha1OfNothing); }

TEST(Sha1, IsParsedFromEitherCase) {
  const auto value = Sha1::parse("A9993E364706816ABA3E25717850C26C9CD0D89D");

  EXPECT_EQ(value, Sha1::of(as_bytes("abc")));
  EXPECT_EQ(Sha1::parse(value.text()), value);
}

TEST(Sha1, RefusesWhatIsNotFortyHexDigits) {
  const std::string good = "a9993e364706816aba3e25717850c26c9cd0d89d";
  EXPECT_THAT([&] { Sha1::parse(""); }, throws(ErrorKind::corrupt, "is not a SHA-1 value"));
  EXPECT_THAT([&] { Sha1::parse(good.substr(1)); }, throws(ErrorKind::corrupt, good.substr(1)));
  EXPECT_THAT([&] { Sha1::parse(good + "0"); }, throws(ErrorKind::corrupt));
  EXPECT_THAT([&] { Sha1::parse(good.substr(1) + "g"); }, throws(ErrorKind::corrupt));
  EXPECT_THAT([&] { Sha1::parse(" " + good.substr(1)); }, throws(ErrorKind::corrupt));
}

TEST(Sha1Hasher, IsTheSameForEveryWayToCutTheStream) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
  const Sha1 expected = Sha1::of(as_bytes(text));

  Sha1Hasher hasher;  // used again for each
  for (const std::size_t size : {1u, 3u, 64u, 999u, 1000u}) {
    for (std::size_t at = 0; at < text.size(); at += size) {
      hasher.update(as_bytes(std::string_view(text).substr(at, size)));
    }
    EXPECT_EQ(hasher.value(), expected) << "in pieces of " << size;
  }
  EXPECT_EQ(hasher.value(), kSha1OfNothing);
}

TEST(Sha1Hasher, GoesOnAfterAMove) {
  Sha1Hasher first;
  first.update(as_bytes("ab"));

  Sha1Hasher second = std::move(first);
  second.update(as_bytes("c"));

  EXPECT_EQ(second.value(), Sha1::of(as_bytes("abc")));
}

// The test cases of RFC 4231.
TEST(HmacSha256, MatchesRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(20, '\x0b')), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(131, '\xaa')),
                               as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, TakesAnEmptyKey) {
  EXPECT_EQ(to_hex(hmac_sha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Xxh3, IsCanonicalThatIsBigEndian) {
  // As `xxhsum -H2` prints them.
  EXPECT_EQ(to_hex(xxh3_128({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(to_hex(xxh3_128(as_bytes("abc"))), "06b05ab6733a618578af5f94892f3950");
}

TEST(Crc32c, MatchesKnownValues) {
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8A9136AAu);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62A8AB43u);
}

}  // namespace
}  // namespace pgrevive::codec
