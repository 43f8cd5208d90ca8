#include "codec/compress.h"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/compressors.h"
#include "support/sinks.h"
#include "support/throws.h"

namespace pgrevive::codec {
namespace {

using test::ContentChecksum;
using test::feed;
using test::StringSink;
using test::throws;

TEST(CompressType, HasTheNamesOfPgBackRest) {
  for (const auto type : {CompressType::none, CompressType::gz, CompressType::bz2,
                          CompressType::lz4, CompressType::zst}) {
    EXPECT_EQ(parse_compress_type(name(type)), type);
  }
  EXPECT_EQ(name(CompressType::zst), "zst");
  EXPECT_EQ(parse_compress_type("zstd"), std::nullopt);
  EXPECT_EQ(parse_compress_type(""), std::nullopt);
}

TEST(CompressType, IsFoundByTheEndOfAName) {
  EXPECT_EQ(extension(CompressType::none), "");
  EXPECT_EQ(extension(CompressType::lz4), ".lz4");
  EXPECT_EQ(type_of_extension("000000010000000000000001-0123.gz"), CompressType::gz);
  EXPECT_EQ(type_of_extension("x.bz2"), CompressType::bz2);
  EXPECT_EQ(type_of_extension("x.lz4"), CompressType::lz4);
  EXPECT_EQ(type_of_extension("x.zst"), CompressType::zst);
  EXPECT_EQ(type_of_extension("x.gz.partial"), CompressType::none);
  EXPECT_EQ(type_of_extension("gz"), CompressType::none);
  EXPECT_EQ(type_of_extension(""), CompressType::none);
}

// Pages of a table, more or less: some of it repeats, some does not.
std::string sample(std::size_t size) {
  std::mt19937 random(42);
  std::string text;
  text.reserve(size + 64);
  while (text.size() < size) {
    text += "customer ";
    text += std::to_string(random());
    text.append(random() % 40, static_cast<char>(random()));
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

struct Codec {
  const char* name;
  CompressType type;
  Form form;
  Checksums checksums;
  std::string (*compress)(std::string_view);
};

class Decompress : public testing::TestWithParam<Codec> {
 protected:
  std::unique_ptr<Sink> make(Sink& next) const {
    return make_decompressor(GetParam().type, GetParam().form, next, GetParam().checksums);
  }
  std::string compress(std::string_view text) const { return GetParam().compress(text); }
};

TEST_P(Decompress, GivesBackWhatWasCompressedHoweverItIsCut) {
  // Around the size of the pieces handed on, where a full buffer and the end of the stream meet.
  for (const std::size_t size : {0u, 1u, 100u, 70'000u, 262'143u, 262'144u, 262'145u, 524'288u}) {
    const std::string text = sample(size);
    const std::string stored = compress(text);
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{7}, std::size_t{4099}, std::size_t{65'536}, stored.size()}) {
      if (size > 70'000 && piece == 1) continue;  // a second each, and nothing new
      StringSink result;
      const auto decompressor = make(result);

      feed(*decompressor, stored, piece);
      EXPECT_FALSE(result.finished);
      decompressor->finish();

      ASSERT_TRUE(result.text == text) << size << " bytes in pieces of " << piece;
      EXPECT_TRUE(result.finished);
    }
  }
}

// Has room for what comes, one buffer of some size after the other.
class RoomySink : public Sink {
 public:
  explicit RoomySink(std::size_t size) : buffer_(size) {}
  void write(ByteView bytes) override {
    copied += bytes.data() != buffer_.data() + used_;
    text += as_text(bytes);
    used_ = (used_ + bytes.size()) % buffer_.size();
  }
  void finish() override { finished = true; }
  std::span<std::byte> room() override { return std::span(buffer_).subspan(used_); }

  std::string text;
  unsigned copied = 0;  // pieces that lay elsewhere
  bool finished = false;

 private:
  Bytes buffer_;
  std::size_t used_ = 0;
};

TEST_P(Decompress, FillsTheRoomOfTheNextSink) {
  const std::string text = sample(300'000);
  const std::string stored = compress(text);
  for (const std::size_t room :
       {std::size_t{16}, std::size_t{1000}, text.size(), text.size() + 1}) {
    RoomySink result(room);
    const auto decompressor = make(result);

    feed(*decompressor, stored, 65'536);
    decompressor->finish();

    ASSERT_TRUE(result.text == text) << "room of " << room;
    EXPECT_EQ(result.copied, 0u) << "room of " << room;
    EXPECT_TRUE(result.finished);
  }
}

TEST_P(Decompress, TakesIncompressibleAndVeryCompressibleData) {
  for (const std::string& text : {noise(1'000'000), std::string(5'000'000, '\0')}) {
    StringSink result;
    const auto decompressor = make(result);

    feed(*decompressor, compress(text), 65'536);
    decompressor->finish();

    ASSERT_TRUE(result.text == text);
    EXPECT_EQ(result.largest, 256u << 10);
  }
}

TEST_P(Decompress, RefusesEveryTruncation) {
  const std::string stored = compress(sample(700));
  for (std::size_t size = 0; size < stored.size(); ++size) {
    for (const std::size_t piece : {std::size_t{1}, stored.size()}) {
      StringSink result;
      const auto decompressor = make(result);

      feed(*decompressor, stored.substr(0, size), piece);

      EXPECT_THAT([&] { decompressor->finish(); }, throws(ErrorKind::corrupt, "is truncated"))
          << size << " of " << stored.size();
      EXPECT_FALSE(result.finished);
    }
  }
}

TEST_P(Decompress, RefusesATruncationOfALargeStream) {
  const std::string stored = compress(sample(1'000'000));
  for (const std::size_t missing : {1u, 2u, 4u, 5u, 8u, 9u, 1000u}) {
    StringSink result;
    const auto decompressor = make(result);

    feed(*decompressor, stored.substr(0, stored.size() - missing), 65'536);

    EXPECT_THAT([&] { decompressor->finish(); }, throws(ErrorKind::corrupt, "is truncated"));
    EXPECT_FALSE(result.finished);
  }
}

TEST_P(Decompress, RefusesBytesAfterTheEnd) {
  for (const std::size_t size : {0u, 700u, 60'000u, 262'144u}) {
    const std::string stored = compress(sample(size));
    for (const std::string& garbage : {std::string(1, '\0'), std::string("x"), std::string(5, '\0'),
                                       std::string(30, 'x'), stored}) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, stored.size() + 100}) {
        if (size > 70'000 && piece == 1) continue;
        StringSink result;
        const auto decompressor = make(result);

        EXPECT_THAT([&] { feed(*decompressor, stored + garbage, piece); },
                    throws(ErrorKind::corrupt, "goes on after its end"))
            << size << " bytes, " << garbage.size() << " more, pieces of " << piece;
        EXPECT_THROW(decompressor->finish(), Error);
        EXPECT_FALSE(result.finished);
      }
    }
  }
}

// Whether a flipped bit is seen depends on what the codec checks. It must not crash, hang or write
// without limit, and a stream with a checksum must never pass with other bytes.
TEST_P(Decompress, SurvivesEveryFlippedBit) {
  const std::string text = sample(700);
  const std::string stored = compress(text);
  const bool has_checksum = GetParam().checksums == Checksums::verified &&
                            GetParam().type != CompressType::zst &&
                            !(GetParam().type == CompressType::lz4 && GetParam().form == Form::raw);
  int refused = 0;
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    std::string damaged = stored;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    StringSink result;
    const auto decompressor = make(result);
    try {
      feed(*decompressor, damaged, 64);
      decompressor->finish();
      if (has_checksum) {
        EXPECT_TRUE(result.text == text) << "bit " << bit;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_FALSE(result.finished);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_P(Decompress, RefusesNoise) {
  StringSink result;
  const auto decompressor = make(result);

  EXPECT_THAT(
      [&] {
        feed(*decompressor, noise(100'000), 4096);
        decompressor->finish();
      },
      throws(ErrorKind::corrupt, name(GetParam().type).data()));
  EXPECT_FALSE(result.finished);
}

std::string gzip(std::string_view text) { return test::make_gzip(text); }
std::string zlib(std::string_view text) { return test::make_zlib(text); }
std::string gzip_fast(std::string_view text) { return test::make_gzip(text, 1); }
std::string gzip_stored(std::string_view text) { return test::make_gzip(text, 0); }
std::string bz2(std::string_view text) { return test::make_bz2(text); }
std::string lz4(std::string_view text) { return test::make_lz4(text, ContentChecksum::yes); }
std::string lz4_raw(std::string_view text) { return test::make_lz4(text, ContentChecksum::no); }
std::string zst(std::string_view text) { return test::make_zst(text); }

constexpr auto kVerified = Checksums::verified;
constexpr auto kSkipped = Checksums::skipped;

// A thread may use a decoder again for its next stream.
TEST_P(Decompress, BeginsAfreshAfterAStreamThatWasLeftOrDamaged) {
  const std::string text = sample(700);
  const std::string stored = compress(text);
  std::string damaged = stored;
  damaged[stored.size() / 2] = static_cast<char>(damaged[stored.size() / 2] ^ 0x55);
  for (const std::string& before : {stored.substr(0, stored.size() / 2), damaged}) {
    StringSink nothing;
    try {
      feed(*make(nothing), before, before.size());
    } catch (const Error&) {
    }
    StringSink result;
    const auto decompressor = make(result);

    feed(*decompressor, stored, stored.size());
    decompressor->finish();

    EXPECT_TRUE(result.text == text);
  }
}

// A worker of a restore has many files on their way, and decoders are kept for the next ones.
TEST_P(Decompress, ManyStreamsOfOneThreadTakeTurns) {
  const std::string text = sample(3000);
  const std::string stored = compress(text);
  const std::size_t half = stored.size() / 2;
  for (int round = 0; round < 3; ++round) {
    std::vector<StringSink> results(40);
    std::vector<std::unique_ptr<Sink>> decompressors;
    for (auto& result : results) {
      decompressors.push_back(make(result));
      decompressors.back()->write(as_bytes(std::string_view(stored).substr(0, half)));
    }
    for (std::size_t i = 0; i < results.size(); i += 2) {  // the others are left
      decompressors[i]->write(as_bytes(std::string_view(stored).substr(half)));
      decompressors[i]->finish();
      EXPECT_TRUE(results[i].text == text) << round << ", " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every, Decompress,
    testing::Values(Codec{"gz", CompressType::gz, Form::standard, kVerified, gzip},
                    Codec{"gz_fast", CompressType::gz, Form::standard, kVerified, gzip_fast},
                    Codec{"gz_stored", CompressType::gz, Form::standard, kVerified, gzip_stored},
                    Codec{"gz_raw", CompressType::gz, Form::raw, kVerified, zlib},
                    Codec{"bz2", CompressType::bz2, Form::standard, kVerified, bz2},
                    Codec{"bz2_raw", CompressType::bz2, Form::raw, kVerified, bz2},
                    Codec{"lz4", CompressType::lz4, Form::standard, kVerified, lz4},
                    Codec{"lz4_skipping_checksums", CompressType::lz4, Form::standard, kSkipped,
                          lz4},
                    Codec{"lz4_raw", CompressType::lz4, Form::raw, kVerified, lz4_raw},
                    Codec{"zst", CompressType::zst, Form::standard, kVerified, zst},
                    Codec{"zst_raw", CompressType::zst, Form::raw, kVerified, zst}),
    [](const auto& test) { return test.param.name; });

TEST(DecompressNone, PassesBytesThrough) {
  StringSink result;
  const auto decompressor = make_decompressor(CompressType::none, Form::standard, result);

  feed(*decompressor, "whatever", 3);
  EXPECT_EQ(result.text, "whatever");
  EXPECT_FALSE(result.finished);
  decompressor->finish();

  EXPECT_TRUE(result.finished);
}

TEST(DecompressGz, RefusesAZlibWrapperInAStandardStream) {
  StringSink result;
  const auto decompressor = make_decompressor(CompressType::gz, Form::standard, result);

  EXPECT_THAT([&] { feed(*decompressor, test::make_zlib("text"), 1000); },
              throws(ErrorKind::corrupt, "gz stream is damaged"));
}

TEST(DecompressGz, ReadsAHeaderWithAFileName) {
  // What `gzip` makes of a file: flag 8 and a name after the fixed part of the header.
  std::string stored = test::make_gzip("text");
  stored[3] = 8;
  stored.insert(10, std::string("name.of.a.file\0", 15));
  for (const std::size_t piece : {std::size_t{1}, stored.size()}) {
    StringSink result;
    const auto decompressor = make_decompressor(CompressType::gz, Form::standard, result);

    feed(*decompressor, stored, piece);
    decompressor->finish();

    EXPECT_EQ(result.text, "text");
  }
}

TEST(DecompressZst, RefusesAWindowThatWouldTakeGigabytes) {
  // Frame header: no single segment, window descriptor 0xa8 = exponent 21 = 2 GiB.
  const std::string stored("\x28\xb5\x2f\xfd\x00\xa8", 6);
  StringSink result;
  const auto decompressor = make_decompressor(CompressType::zst, Form::standard, result);

  EXPECT_THAT([&] { feed(*decompressor, stored + std::string(100, '\0'), 1000); },
              throws(ErrorKind::corrupt, "zst stream is damaged"));
}

TEST(DecompressLz4, SkipsTheChecksumOnlyWhenAskedTo) {
  std::string stored = test::make_lz4("some text", ContentChecksum::yes);
  stored.back() = static_cast<char>(stored.back() ^ 1);
  StringSink checked;
  StringSink skipped;

  EXPECT_THAT(
      [&] {
        make_decompressor(CompressType::lz4, Form::standard, checked)->write(as_bytes(stored));
      },
      throws(ErrorKind::corrupt, "lz4 stream is damaged"));
  const auto lenient =
      make_decompressor(CompressType::lz4, Form::standard, skipped, Checksums::skipped);
  lenient->write(as_bytes(stored));
  lenient->finish();

  EXPECT_EQ(skipped.text, "some text");
}

TEST(MemorySink, StopsAtItsLimit) {
  MemorySink sink(10);
  sink.write(as_bytes("0123456789"));

  EXPECT_THAT([&] { sink.write(as_bytes("x")); }, throws(ErrorKind::corrupt, "more than 10 B"));
  EXPECT_EQ(as_text(sink.bytes()), "0123456789");
  EXPECT_FALSE(sink.finished());
  sink.finish();
  EXPECT_TRUE(sink.finished());
}

}  // namespace
}  // namespace pgrevive::codec
