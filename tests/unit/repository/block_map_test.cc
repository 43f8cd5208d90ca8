#include "repository/block_map.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/posix.h"
#include "support/throws.h"
#include "unit/repository/restore_in_memory.h"

namespace pgrevive::repository {
namespace {

using test::throws;

constexpr std::uint32_t kBlock = 8192;
constexpr std::uint32_t kChecksum = 2;  // bytes kept per block, few, so that maps stay readable

// Puts a map together from its numbers and checksums.
class MapText {
 public:
  MapText& number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
    return *this;
  }
  MapText& checksums(int count) {
    for (int i = 0; i < count; ++i) {
      bytes_.push_back(std::byte{0xC0});
      bytes_.push_back(static_cast<std::byte>(next_++));
    }
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
  unsigned next_ = 0;
};

constexpr std::uint64_t kLast = 1;

BlockMap parse(const MapText& text, std::uint64_t blocks, std::uint32_t references = 3) {
  return BlockMap::parse(text.bytes(), kBlock, kChecksum, references, blocks * kBlock);
}

// One block of size 8192 in backup 0, stored in 100 bytes at offset 0 of the file's own object.
MapText smallest() {
  return MapText().number(0).number(0 << 3 | kLast).number(100 << 3 | kLast).checksums(1);
}

TEST(BlockMap, ReadsTheSmallestMap) {
  const BlockMap map = parse(smallest(), 1);

  ASSERT_EQ(map.super_blocks.size(), 1u);
  EXPECT_EQ(map.super_blocks[0].reference, 0u);
  EXPECT_EQ(map.super_blocks[0].bundle_id, 0u);
  EXPECT_EQ(map.super_blocks[0].offset, 0u);
  EXPECT_EQ(map.super_blocks[0].stored_size, 100u);
  EXPECT_EQ(map.super_blocks[0].logical_size, kBlock);
  ASSERT_EQ(map.blocks.size(), 1u);
  EXPECT_EQ(map.blocks[0].super_block, 0u);
  EXPECT_EQ(map.blocks[0].block_in_super_block, 0u);
  EXPECT_EQ(map.blocks[0].checksum[0], std::byte{0xC0});
}

TEST(BlockMap, ReadsBundleOffsetLogicalSizeAndRemainder) {
  const auto text = MapText()
                        .number(0)
                        .number(2 << 3 | kLast | 2 | 4)  // backup 2, bundle and offset follow
                        .number(7)
                        .number(1000)
                        .number(500 << 3 | 2)  // logical size changes
                        .number(2 << 1)        // to two blocks
                        .checksums(2)
                        .number((40 << 1) << 3 | kLast | 2)  // 40 bytes more than the last one
                        .number(1 << 1 | 1)                  // one block and a remainder
                        .number(10)
                        .checksums(2);

  const BlockMap map = BlockMap::parse(text.bytes(), kBlock, kChecksum, 3, 3 * kBlock + 10);

  ASSERT_EQ(map.super_blocks.size(), 2u);
  EXPECT_EQ(map.super_blocks[0].reference, 2u);
  EXPECT_EQ(map.super_blocks[0].bundle_id, 7u);
  EXPECT_EQ(map.super_blocks[0].offset, 1000u);
  EXPECT_EQ(map.super_blocks[0].logical_size, 2 * kBlock);
  EXPECT_EQ(map.super_blocks[1].offset, 1500u);
  EXPECT_EQ(map.super_blocks[1].stored_size, 540u);
  EXPECT_EQ(map.super_blocks[1].logical_size, kBlock + 10);
  ASSERT_EQ(map.blocks.size(), 4u);
  EXPECT_EQ(map.blocks[3].super_block, 1u);
  EXPECT_EQ(map.blocks[3].block_in_super_block, 1u);
}

TEST(BlockMap, GoesOnWithASuperBlockThatANewerBackupSplit) {
  // Blocks 0, 1 from the middle of a super block of backup 0 on, 2 from backup 1, then 4 of the
  // same super block of backup 0 (its block 3 is skipped) and the super block after that.
  const auto text = MapText()
                        .number(0)
                        .number(0 << 3 | 4)  // backup 0, offset follows
                        .number(64)
                        .number(300 << 3 | kLast | 2 | 4)
                        .number(6 << 1)      // six blocks
                        .number(1 << 1 | 1)  // of which two are used
                        .number(1)           // after skipping one
                        .checksums(2)
                        .number(1 << 3)                       // backup 1
                        .number((100 << 1 | 1) << 3 | kLast)  // minus 101: 199 bytes
                        .checksums(1)
                        .number(0 << 3 | kLast | 2)  // goes on with backup 0, and not the last
                        .number(0 << 1 | 1)          // one block
                        .number(1)                   // after skipping one
                        .checksums(1)
                        .number(0 << 3 | kLast | 2 | 4)  // as large as the last: 300
                        .number(1 << 1)
                        .number(0 << 1)
                        .checksums(1);

  const BlockMap map = parse(text, 5);

  ASSERT_EQ(map.super_blocks.size(), 3u);
  EXPECT_EQ(map.super_blocks[0].offset, 64u);
  EXPECT_EQ(map.super_blocks[1].reference, 1u);
  EXPECT_EQ(map.super_blocks[1].offset, 0u);
  EXPECT_EQ(map.super_blocks[1].stored_size, 199u);
  EXPECT_EQ(map.super_blocks[2].reference, 0u);
  EXPECT_EQ(map.super_blocks[2].offset, 364u);
  EXPECT_EQ(map.super_blocks[2].stored_size, 300u);
  std::vector<std::pair<unsigned, unsigned>> places;
  for (const auto& block : map.blocks)
    places.emplace_back(block.super_block, block.block_in_super_block);
  EXPECT_EQ(places,
            (std::vector<std::pair<unsigned, unsigned>>{{0, 1}, {0, 2}, {1, 0}, {0, 4}, {2, 0}}));
}

TEST(BlockMap, ComesBackToABackupAfterAGap) {
  const auto text = MapText()
                        .number(0)
                        .number(0 << 3 | 2)  // backup 0 in a bundle
                        .number(9)
                        .number(100 << 3 | kLast)
                        .checksums(1)
                        .number(1 << 3)
                        .number(0 << 3 | kLast)  // 100 bytes as well
                        .checksums(1)
                        .number(0 << 3 | 4)  // backup 0 again, 50 bytes after the end of its last
                        .number(50)
                        .number(0 << 3 | kLast)
                        .checksums(1)
                        .number(0 << 3 | kLast)  // and again, right after that
                        .number(0 << 3 | kLast)
                        .checksums(1);

  const BlockMap map = parse(text, 4);

  ASSERT_EQ(map.super_blocks.size(), 4u);
  EXPECT_EQ(map.super_blocks[2].offset, 150u);
  EXPECT_EQ(map.super_blocks[2].bundle_id, 9u);
  EXPECT_EQ(map.super_blocks[3].offset, 250u);
}

// The worked example of docs/format/block_map.md.
TEST(BlockMap, ReadsTheExampleOfTheDocumentation) {
  const Bytes bytes = from_hex("0000a7060600c000088902c001070101c002");

  const BlockMap map = BlockMap::parse(bytes, kBlock, kChecksum, 2, 3 * kBlock);

  ASSERT_EQ(map.super_blocks.size(), 2u);
  EXPECT_EQ(map.super_blocks[0].stored_size, 100u);
  EXPECT_EQ(map.super_blocks[1].stored_size, 83u);
  EXPECT_EQ(map.super_blocks[1].reference, 1u);
  ASSERT_EQ(map.blocks.size(), 3u);
  EXPECT_EQ(map.blocks[2].super_block, 0u);
  EXPECT_EQ(map.blocks[2].block_in_super_block, 2u);
}

TEST(BlockMap, GoesOnAsTheLastOfItsGroup) {
  const auto text = MapText()
                        .number(0)
                        .number(0 << 3)
                        .number(100 << 3 | kLast | 2 | 4)
                        .number(3 << 1)
                        .number(0 << 1)
                        .checksums(1)
                        .number(1 << 3)
                        .number(0 << 3 | kLast)
                        .checksums(1)
                        .number(0 << 3 | kLast | 2 | 4)
                        .number(0 << 1 | 1)
                        .number(1)
                        .checksums(1);
  const BlockMap map = parse(text, 3);
  EXPECT_EQ(map.super_blocks.size(), 2u);
  EXPECT_EQ(map.blocks.at(2).block_in_super_block, 2u);
}

struct BadMap {
  const char* name;
  MapText text;
  const char* part;
  std::uint64_t blocks = 1;
};

class BadBlockMap : public testing::TestWithParam<BadMap> {};

TEST_P(BadBlockMap, IsRefused) {
  EXPECT_THAT([] { parse(GetParam().text, GetParam().blocks); },
              throws(ErrorKind::corrupt, GetParam().part));
}

constexpr std::uint64_t kHuge = ~std::uint64_t{0};

INSTANTIATE_TEST_SUITE_P(
    All, BadBlockMap,
    testing::Values(
        BadMap{"empty", MapText(), "middle of a number"},
        BadMap{"flags_only", MapText().number(0), "middle of a number"},
        BadMap{"unknown_backup", MapText().number(0).number(3 << 3 | kLast), "not in the manifest"},
        BadMap{"huge_backup", MapText().number(0).number(kHuge), "not in the manifest"},
        BadMap{"no_super_block", MapText().number(0).number(kLast), "middle of a number"},
        BadMap{"stored_size_zero", MapText().number(0).number(kLast).number(kLast), "stored size"},
        BadMap{"stored_size_falls_below_zero",
               MapText()
                   .number(0)
                   .number(kLast)
                   .number(5 << 3)
                   .checksums(1)
                   .number((4 << 1 | 1) << 3 | kLast)
                   .checksums(1),
               "stored size", 2},
        BadMap{"place_overflows",
               MapText().number(0).number(kLast | 4).number(kHuge >> 1).number(100 << 3 | kLast),
               "out of range"},
        BadMap{"offset_overflows", MapText().number(0).number(kLast | 4).number(kHuge),
               "out of range"},
        BadMap{"no_checksums", MapText().number(0).number(kLast).number(100 << 3 | kLast),
               "middle of checksums"},
        BadMap{"too_many_blocks",
               MapText()
                   .number(0)
                   .number(kLast)
                   .number(100 << 3 | kLast | 2)
                   .number(2 << 1)
                   .checksums(2),
               "more blocks than the file"},
        BadMap{"too_few_blocks", smallest(), "fewer blocks than the file", 2},
        BadMap{"a_billion_blocks",
               MapText()
                   .number(0)
                   .number(kLast)
                   .number(100 << 3 | kLast | 4)
                   .number(std::uint64_t{1} << 40),
               "outside its super block", std::uint64_t{1} << 45},
        BadMap{"checksums_missing_for_a_large_file",
               MapText().number(0).number(kLast).number(100 << 3 | kLast | 2).number(8000 << 1),
               "middle of checksums", 8000},
        BadMap{"huge_super_block",
               MapText().number(0).number(kLast).number(100 << 3 | kLast | 2).number(kHuge),
               "too large"},
        BadMap{
            "huge_remainder",
            MapText().number(0).number(kLast).number(100 << 3 | kLast | 2).number(1).number(kHuge),
            "out of range"},
        BadMap{"empty_super_block",
               MapText().number(0).number(kLast).number(100 << 3 | kLast | 2).number(0), "empty"},
        BadMap{"skips_over_the_end",
               MapText().number(0).number(kLast).number(100 << 3 | kLast | 4).number(1).number(5),
               "outside its super block"},
        BadMap{"trailing_bytes", smallest().number(0), "bytes follow its end"}),
    [](const auto& test) { return test.param.name; });

TEST(BlockMap, RefusesNumbersOfMoreThan64Bits) {
  Bytes bytes(11, std::byte{0xFF});
  EXPECT_THAT([&] { BlockMap::parse(bytes, kBlock, kChecksum, 1, kBlock); },
              throws(ErrorKind::corrupt, "64 bits"));
}

TEST(BlockMap, TellsANewerVersionFromDamage) {
  EXPECT_THAT([] { parse(MapText().number(1), 1); }, throws(ErrorKind::unsupported, "version"));
}

TEST(BlockMap, SurvivesEveryCutAndEveryChangedByte) {
  const auto storage = std::shared_ptr<const storage::Storage>(
      storage::open_posix(std::string(TEST_DATA_DIR) + "/repository/pg15-lz4"));
  const Repository repository(storage, "main", Secret());
  const auto info = repository.load_backup_info();
  const auto manifest = repository.load_manifest(info, info.backups.back().label);
  const auto file =
      *std::ranges::find(manifest.files, "pg_data/base/16384/1259", &ManifestFile::name);
  Bytes map =
      test::read_plain(*storage, layout::object_of("main", manifest, file),
                       storage::Range{file.repo_size - file.block_map_size, file.block_map_size},
                       Secret(), codec::CompressType::none, codec::Form::raw);
  const auto parse_map = [&](ByteView bytes) {
    return BlockMap::parse(bytes, file.block_size, file.block_checksum_size, 3, file.size);
  };
  ASSERT_EQ(parse_map(map).blocks.size(), file.size / file.block_size);

  for (std::size_t size = 0; size < map.size(); ++size)
    EXPECT_THROW(parse_map(ByteView(map).first(size)), Error) << size;
  std::mt19937 random(7);  // NOLINT: a fixed seed keeps the test the same
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = map;
    for (auto n = random() % 4 + 1; n != 0; --n)
      changed[random() % changed.size()] = static_cast<std::byte>(random());
    try {
      for (const auto& block : parse_map(changed).blocks) ASSERT_LT(block.super_block, 16u);
    } catch (const Error&) {
    }
  }
}

// The proof that maps are read right: the bytes they lead to are the file's. One file whose blocks
// come from three backups, and everything that two bundles of an encrypted repository hold.
TEST(BlockMap, LeadsToTheBytesOfAFileOverThreeBackups) {
  const Repository repository(
      storage::open_posix(std::string(TEST_DATA_DIR) + "/repository/pg15-lz4"), "main", Secret());
  const auto info = repository.load_backup_info();
  const auto manifest = repository.load_manifest(info, info.backups.back().label);
  const auto file =
      *std::ranges::find(manifest.files, "pg_data/base/16384/1259", &ManifestFile::name);

  const Bytes bytes = test::restore_in_memory(repository, manifest, file);

  EXPECT_EQ(bytes.size(), file.size);
  EXPECT_EQ(codec::Sha1::of(bytes), file.checksum);
}

TEST(BlockMap, LeadsToTheBytesOfFilesInEncryptedBundles) {
  const Repository repository(
      storage::open_posix(std::string(TEST_DATA_DIR) + "/repository/pg15-zst-aes"), "main",
      Secret("fixture-pass-15"));
  const auto info = repository.load_backup_info();
  const auto manifest = repository.load_manifest(info, info.backups.back().label);
  int plain = 0;
  int by_map = 0;
  for (const auto& file : manifest.files) {
    if (file.reference == 0 || !file.bundled()) continue;
    if (file.block_incremental()) {
      const auto map = test::load_block_map(repository, manifest, file);
      if (std::ranges::any_of(map.super_blocks, [](const SuperBlock& super_block) {
            return super_block.reference == 0;
          }))
        continue;  // the full backup's objects are not in tests/data
    }
    const Bytes bytes = test::restore_in_memory(repository, manifest, file);
    EXPECT_EQ(bytes.size(), file.size) << file.name;
    EXPECT_EQ(codec::Sha1::of(bytes), file.checksum) << file.name;
    ++(file.block_incremental() ? by_map : plain);
  }
  EXPECT_GE(plain, 10);
  EXPECT_GE(by_map, 3);
}

}  // namespace
}  // namespace pgrevive::repository
