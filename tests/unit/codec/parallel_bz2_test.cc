#include "codec/parallel_bz2.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "codec/bz2_block.h"
#include "codec/compress.h"
#include "support/compressors.h"
#include "support/sinks.h"
#include "support/throws.h"

namespace pgrevive::codec {
namespace {

using test::feed;
using test::StringSink;
using test::throws;

// At level 1 a block has 100 kB, so that a short stream has many.
std::string compress(std::string_view text) { return test::make_bz2(text, 1); }

std::string sample(std::size_t size) {
  std::mt19937 random(42);
  std::string text;
  while (text.size() < size) {
    text += "customer " + std::to_string(random());
    text.append(random() % 40, static_cast<char>(random()));
  }
  text.resize(size);
  return text;
}

// A block begins with a map of the byte values in it, a bit for each of 256 in groups of 16. With
// just these values in every block, every block's map holds the magic of a block and that of the
// end, and neither is one.
std::string sample_with_magics_inside(std::size_t size) {
  std::string alphabet;
  const std::uint16_t groups[] = {0x3141, 0x5926, 0x5359, 0x1772, 0x4538, 0x5090};
  for (unsigned group = 0; group < std::size(groups); ++group) {
    for (unsigned bit = 0; bit < 16; ++bit) {
      if ((groups[group] >> (15 - bit) & 1) != 0) {
        alphabet += static_cast<char>(group * 16 + bit);
      }
    }
  }
  std::mt19937 random(43);
  std::string text = alphabet;
  while (text.size() < size) {
    const char next = alphabet[random() % alphabet.size()];
    if (next != text.back()) text += next;  // a run would add its length to the values
  }
  return text;
}

// What came out, and what was said if it was refused.
struct Outcome {
  std::string text;
  std::string error;
  bool finished = false;
  bool operator==(const Outcome&) const = default;
};

Outcome run(Sink& decompressor, const StringSink& result, std::string_view stored,
            std::size_t piece) {
  std::string error;
  try {
    feed(decompressor, stored, piece);
    decompressor.finish();
  } catch (const Error& refused) {
    error = refused.text();
  }
  return {result.text, error, result.finished};
}

Outcome serial(std::string_view stored, std::size_t piece = 65'536) {
  StringSink result;
  return run(*make_decompressor(CompressType::bz2, Form::standard, result), result, stored, piece);
}

Outcome parallel(Bz2Threads& threads, std::string_view stored, std::size_t piece = 65'536) {
  StringSink result;
  return run(*make_parallel_bz2(threads, result), result, stored, piece);
}

std::size_t magics_in(std::string_view stored) {
  Bz2Scanner scanner;
  Bz2Scanner::Found found{};
  std::size_t result = 0;
  for (ByteView rest = as_bytes(stored); scanner.next(rest, found);) ++result;
  return result;
}

TEST(Bz2Scanner, FindsAMagicAtEveryBit) {
  for (const bool is_end : {false, true}) {
    for (unsigned bit = 0; bit < 40; ++bit) {
      std::vector<std::byte> bytes(20, std::byte{0xff});
      const std::uint64_t magic = is_end ? kBz2EndMagic : kBz2BlockMagic;
      for (unsigned i = 0; i < kBz2MagicBits; ++i) {
        if ((magic >> (kBz2MagicBits - 1 - i) & 1) != 0) continue;
        bytes[(bit + i) / 8] &= ~(std::byte{0x80} >> ((bit + i) % 8));
      }
      for (const std::size_t piece : {1u, 3u, 20u}) {
        Bz2Scanner scanner;
        std::vector<std::uint64_t> found;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
          ByteView part = ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at));
          Bz2Scanner::Found next{};
          while (scanner.next(part, next)) {
            found.push_back(next.bit);
            EXPECT_EQ(next.is_end, is_end);
          }
        }
        EXPECT_THAT(found, testing::ElementsAre(bit));
      }
    }
  }
}

class ParallelBz2 : public testing::TestWithParam<std::size_t> {
 protected:
  Bz2Threads threads_{GetParam()};
};

TEST_P(ParallelBz2, GivesBackWhatWasCompressedHoweverItIsCut) {
  for (const std::size_t size : {0u, 1u, 1000u, 99'900u, 150'000u, 262'144u, 1'234'567u}) {
    const std::string text = sample(size);
    const std::string stored = compress(text);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4099}, stored.size()}) {
      StringSink result;
      const auto decompressor = make_parallel_bz2(threads_, result);

      feed(*decompressor, stored, piece);
      EXPECT_FALSE(result.finished);
      decompressor->finish();

      ASSERT_TRUE(result.text == text) << size << " bytes in pieces of " << piece;
      EXPECT_TRUE(result.finished);
      EXPECT_LE(result.largest, 256u << 10);
    }
  }
}

TEST_P(ParallelBz2, TakesBlocksThatGrowWithoutMeasure) {
  // Runs of 255 bytes become five, so a block of 100 kB holds 5 MB of zeros.
  const std::string text = std::string(12'000'000, '\0') + sample(300'000) +
                           std::string(9'000'000, 'x') + sample(200'000);

  EXPECT_TRUE(parallel(threads_, compress(text)) == Outcome({text, "", true}));
}

TEST_P(ParallelBz2, IsNotFooledByTheMagicInsideABlock) {
  const std::string text = sample_with_magics_inside(500'000);
  const std::string stored = compress(text);
  ASSERT_GE(magics_in(stored), 5u + 1 + 2 * 5) << "the sample has no false magics";

  for (const std::size_t piece : {std::size_t{997}, stored.size()}) {
    EXPECT_TRUE(parallel(threads_, stored, piece) == Outcome({text, "", true}));
  }
}

// The same words as the other decoder, for every way to spoil a stream; and the same bytes, should
// neither notice.
TEST_P(ParallelBz2, RefusesWhatTheSerialDecoderRefuses) {
  std::mt19937 random(44);
  for (const std::string& text : {sample(250'000), sample_with_magics_inside(250'000)}) {
    const std::string stored = compress(text);
    for (int round = 0; round < 40; ++round) {
      std::string spoilt = stored;
      switch (round % 4) {
        case 0:
          spoilt.resize(round < 8 ? spoilt.size() - static_cast<std::size_t>(round) - 1
                                  : random() % spoilt.size());
          break;
        case 1:
          spoilt += round < 20 ? std::string(1 + random() % 100, '\0') : stored;
          break;
        case 2: {
          char& byte = spoilt[random() % spoilt.size()];
          byte = static_cast<char>(byte ^ 1 << random() % 8);
          break;
        }
        case 3: {  // the header, the first block's, and the end
          const std::size_t at = random() % 30;
          char& byte = spoilt[round < 30 ? at : spoilt.size() - 1 - at];
          byte = static_cast<char>(byte ^ 1 << random() % 8);
          break;
        }
      }
      const Outcome expected = serial(spoilt);
      const Outcome actual = parallel(threads_, spoilt, 1 + random() % 100'000);

      EXPECT_EQ(actual.error, expected.error) << "round " << round;
      EXPECT_EQ(actual.finished, expected.finished);
      EXPECT_TRUE(!expected.finished || actual.text == expected.text);
      // Whatever was handed on before the damage was seen is right.
      EXPECT_TRUE(text.starts_with(actual.text) || actual.text == expected.text);
    }
  }
}

TEST_P(ParallelBz2, RefusesBytesWithoutEnd) {
  std::string garbage(6'000'000, '\0');
  std::mt19937 random(45);
  for (char& c : garbage) c = static_cast<char>(random());
  const std::string good = compress(sample(350'000));

  for (const std::string& stored : {garbage, good.substr(0, good.size() / 2) + garbage,
                                    good + garbage, good.substr(0, 4) + garbage}) {
    StringSink result;
    const auto decompressor = make_parallel_bz2(threads_, result);

    EXPECT_THAT([&] { feed(*decompressor, stored, 65'536); }, throws(ErrorKind::corrupt, "bz2"));
    EXPECT_THAT([&] { decompressor->finish(); }, throws(ErrorKind::corrupt, "bz2"));
    EXPECT_FALSE(result.finished);
  }
}

TEST_P(ParallelBz2, ServesManyStreamsAtOnce) {
  std::vector<std::jthread> callers;
  for (std::size_t i = 0; i < 6; ++i) {
    callers.emplace_back([this, i] {
      const std::string text = sample(100'000 * i + i);
      EXPECT_TRUE(parallel(threads_, compress(text)) == Outcome({text, "", true}));
    });
  }
}

TEST_P(ParallelBz2, IsNotHeldUpByAStreamThatStandsStill) {
  const std::string stored = compress(std::string(10'000'000, '\0') + sample(1'000'000));
  const std::string text = sample(600'000);
  StringSink result;
  const auto standing = make_parallel_bz2(threads_, result);
  feed(*standing, stored.substr(0, stored.size() / 2), 100);

  EXPECT_TRUE(parallel(threads_, compress(text)) == Outcome({text, "", true}));
  // And is dropped as it is.
}

class FullSink : public Sink {
 public:
  void write(ByteView) override { throw Error(ErrorKind::system, "the disk is full"); }
  void finish() override {}
};

TEST_P(ParallelBz2, PassesOnTheErrorOfTheNextStage) {
  FullSink full;
  const auto decompressor = make_parallel_bz2(threads_, full);

  EXPECT_THAT(
      [&] {
        feed(*decompressor, compress(sample(1'000'000)), 1000);
        decompressor->finish();
      },
      throws(ErrorKind::system, "full"));
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelBz2, testing::Values(1, 3),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace pgrevive::codec
