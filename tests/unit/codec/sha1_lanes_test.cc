#include "codec/sha1_lanes.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "support/throws.h"

namespace pgrevive::codec {
namespace {

using Kernel = Sha1Lanes::Kernel;
using test::throws;

// By another way than the code under test.
Sha1 by_evp(std::string_view text) {
  Sha1 result;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(result.bytes.data()),
             nullptr, EVP_sha1(), nullptr);
  return result;
}

std::string noise(std::size_t size, std::mt19937& random) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::vector<Sha1> of_each(const Sha1Lanes& lanes, const std::vector<std::string>& texts) {
  std::vector<ByteView> views;
  for (const auto& text : texts) views.push_back(as_bytes(text));
  std::vector<Sha1> results(texts.size());
  lanes.of_each(views, results);
  return results;
}

std::vector<std::size_t> ends(const std::vector<std::string>& texts) {
  std::vector<std::size_t> result;
  for (const auto& text : texts) result.push_back(text.size());
  return result;
}

class Sha1Kernels : public testing::TestWithParam<std::vector<Kernel>> {
 protected:
  void SetUp() override {
    for (const Kernel kernel : GetParam()) {
      if (std::ranges::count(Sha1Lanes::kernels(), kernel) != 0) continue;
      GTEST_SKIP() << "THIS CPU CANNOT RUN " << Sha1Lanes::name(kernel) << ", NOT TESTED";
    }
  }
};

TEST_P(Sha1Kernels, KnowTheExamplesOfFips180InEveryLane) {
  const std::vector<std::pair<std::string, std::string>> examples = {
      {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
      {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
       "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "a49b2446a02c645bf419f995b67091253a04a259"},
      {std::string(1'000'000, 'a'), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"}};
  const Sha1Lanes lanes(GetParam());

  for (std::size_t turn = 0; turn < 16; ++turn) {
    std::vector<std::string> texts;
    std::vector<Sha1> expected;
    for (std::size_t lane = 0; lane < 16; ++lane) {
      // The long one once only; it is the one that the others end before.
      const auto& [text, value] = examples[(lane + turn) % (lane == turn ? 5 : 4)];
      texts.push_back(text);
      expected.push_back(Sha1::parse(value));
    }
    EXPECT_EQ(of_each(lanes, texts), expected);
  }
}

TEST_P(Sha1Kernels, HashWholeBuffersOfEveryLengthAndNumber) {
  std::mt19937 random(1);
  const Sha1Lanes lanes(GetParam());
  for (std::size_t count = 0; count <= 40; ++count) {
    std::vector<std::string> texts;
    std::vector<Sha1> expected;
    for (std::size_t i = 0; i < count; ++i) {
      // Around the block's 64 bytes and the 56 where the padding needs a second one, and longer.
      const std::size_t size = random() % 3 == 0 ? random() % 10'000 : random() % 200;
      texts.push_back(noise(size, random));
      expected.push_back(by_evp(texts.back()));
    }

    EXPECT_EQ(of_each(lanes, texts), expected) << count << " buffers";
  }
}

TEST_P(Sha1Kernels, HashStreamsHoweverTheyAreCutAndMixed) {
  std::mt19937 random(2);
  const Sha1Lanes lanes(GetParam());
  for (int round = 0; round < 60; ++round) {
    const std::size_t count = 1 + random() % 40;
    std::vector<std::string> texts(count);
    std::vector<std::size_t> at(count, 0);
    std::vector<Sha1Hasher> hashers(count);
    for (auto& text : texts) text = noise(random() % 3000, random);
    while (at != ends(texts)) {
      std::vector<Sha1Lanes::Piece> pieces;
      for (std::size_t i = 0; i < count; ++i) {
        if (random() % 4 == 0) continue;  // this one has nothing new
        const std::size_t most = random() % 2 == 0 ? 70 : 1000;
        const std::size_t size = std::min<std::size_t>(random() % most, texts[i].size() - at[i]);
        pieces.push_back({&hashers[i], as_bytes(std::string_view(texts[i]).substr(at[i], size))});
        at[i] += size;
      }
      lanes.update(pieces);
    }
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(hashers[i].value(), by_evp(texts[i])) << "round " << round << ", stream " << i;
    }
  }
}

TEST_P(Sha1Kernels, ContinueWhatWasBegunAloneAndTheOtherWayRound) {
  std::mt19937 random(3);
  const Sha1Lanes lanes(GetParam());
  const std::string text = noise(1000, random);
  std::vector<Sha1Hasher> hashers(16);
  for (std::size_t i = 0; i < hashers.size(); ++i) {
    hashers[i].update(as_bytes(std::string_view(text).substr(0, i * 9)));
  }
  std::vector<Sha1Lanes::Piece> pieces;
  for (std::size_t i = 0; i < hashers.size(); ++i) {
    pieces.push_back({&hashers[i], as_bytes(std::string_view(text).substr(i * 9, 700))});
  }

  lanes.update(pieces);

  for (std::size_t i = 0; i < hashers.size(); ++i) {
    hashers[i].update(as_bytes(std::string_view(text).substr(i * 9 + 700)));
    EXPECT_EQ(hashers[i].value(), by_evp(text));
  }
}

INSTANTIATE_TEST_SUITE_P(Each, Sha1Kernels,
                         testing::Values(std::vector{Kernel::portable}, std::vector{Kernel::avx2},
                                         std::vector{Kernel::avx512},
                                         std::vector{Kernel::avx512, Kernel::avx2}),
                         [](const auto& test) {
                           std::string name;
                           for (const Kernel kernel : test.param) {
                             name += (name.empty() ? "" : "_then_");
                             name += Sha1Lanes::name(kernel);
                           }
                           return name;
                         });

TEST(Sha1Lanes, ChooseKernelsThatTheCpuHasTheWidestFirst) {
  const Sha1Lanes lanes;

  EXPECT_THAT(Sha1Lanes::kernels(), testing::Contains(Kernel::portable));
  std::size_t wider = lanes.width() + 1;
  for (const auto& level : lanes.levels()) {
    EXPECT_THAT(Sha1Lanes::kernels(), testing::Contains(level.kernel));
    EXPECT_LT(level.width, wider);
    EXPECT_GT(level.fewest, 1u);
    EXPECT_LE(level.fewest, level.width);
    wider = level.width;
  }
}

TEST(Sha1Lanes, RefuseAKernelThatTheCpuHasNot) {
  for (const Kernel kernel : {Kernel::avx2, Kernel::avx512}) {
    if (std::ranges::count(Sha1Lanes::kernels(), kernel)) continue;
    EXPECT_THAT([&] { Sha1Lanes{std::span(&kernel, 1)}; }, throws(ErrorKind::internal, "kernel"));
  }
}

// Whatever was measured, few streams and many give the same values.
// As measured on a CPU whose wide kernel pays late: more streams are left than the next has lanes.
TEST(Sha1Lanes, HandOnMoreStreamsThanTheNarrowerKernelHasLanesFor) {
  auto kernels = Sha1Lanes::kernels();
  std::ranges::reverse(kernels);  // the widest first
  auto levels = Sha1Lanes(kernels).levels();
  if (levels.size() < 2) GTEST_SKIP() << "THIS CPU HAS ONE KERNEL ONLY, NOT TESTED";
  levels.front().fewest = levels.front().width;
  std::mt19937 random(4);
  std::vector<std::string> texts(levels.front().width);
  for (auto& text : texts) text = noise(random() % 3000, random);

  const auto found = of_each(Sha1Lanes(levels), texts);

  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(found[i], by_evp(texts[i])) << i;
}

TEST(Sha1Lanes, AreRightOnBothSidesOfTheirOwnChoice) {
  std::mt19937 random(4);
  const Sha1Lanes lanes;
  for (std::size_t count = 1; count <= 20; ++count) {
    std::vector<std::string> texts;
    std::vector<Sha1> expected;
    for (std::size_t i = 0; i < count; ++i) {
      texts.push_back(noise(random() % 5000, random));
      expected.push_back(by_evp(texts.back()));
    }
    EXPECT_EQ(of_each(lanes, texts), expected) << count << " buffers";
  }
}

}  // namespace
}  // namespace pgrevive::codec
