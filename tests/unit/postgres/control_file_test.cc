#include "postgres/control_file.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "codec/hash.h"
#include "support/throws.h"

namespace pgrevive::postgres {
namespace {

using test::throws;

// The sample of one major, with the zeros that are not kept in the repository.
Bytes sample(const std::string& version) {
  const auto text =
      read_file(std::filesystem::path(TEST_DATA_DIR) / "pg_control" / (version + ".bin"));
  Bytes bytes(as_bytes(text).begin(), as_bytes(text).end());
  bytes.resize(8192);
  return bytes;
}

// What the server that wrote the sample said of it (tests/data/pg_control/README.md).
struct Said {
  const char* version;
  std::uint64_t system_id;
  std::uint32_t control_version;
  std::uint32_t catalog_version;
  const char* checkpoint;
  std::uint32_t timeline;
  const char* minimum_recovery_point;
  std::uint32_t block_size;
  std::uint32_t wal_segment_size;
  std::uint32_t data_checksum_version;
};

class ControlFileOf : public testing::TestWithParam<Said> {};

TEST_P(ControlFileOf, SaysWhatTheServerSays) {
  const auto& said = GetParam();

  const auto control = ControlFile::parse(sample(said.version));

  EXPECT_EQ(control.version, Version::parse(said.version));
  EXPECT_EQ(control.system_id, said.system_id);
  EXPECT_EQ(control.control_version, said.control_version);
  EXPECT_EQ(control.catalog_version, said.catalog_version);
  EXPECT_EQ(control.state, ControlFile::State::in_archive_recovery);
  EXPECT_EQ(control.checkpoint.text(), said.checkpoint);
  EXPECT_EQ(control.checkpoint_timeline, Timeline(said.timeline));
  EXPECT_EQ(control.minimum_recovery_point.text(), said.minimum_recovery_point);
  EXPECT_EQ(control.minimum_recovery_timeline, Timeline(said.timeline));
  EXPECT_EQ(control.block_size, said.block_size);
  EXPECT_EQ(control.wal_segment_size, said.wal_segment_size);
  EXPECT_EQ(control.data_checksum_version, said.data_checksum_version);
}

TEST_P(ControlFileOf, HasWhatHotStandbyMustNotStayBelow) {
  const auto control = ControlFile::parse(sample(GetParam().version));

  EXPECT_EQ(control.parameters.max_connections, 123);
  EXPECT_EQ(control.parameters.max_worker_processes, 17);
  EXPECT_EQ(control.parameters.max_wal_senders, control.version.at_least(12) ? 11 : 0);
  EXPECT_EQ(control.parameters.max_prepared_xacts, 7);
  EXPECT_EQ(control.parameters.max_locks_per_xact, 77);
}

TEST_P(ControlFileOf, IsSpoiledInItsCheckpointAlone) {
  const auto bytes = sample(GetParam().version);

  const auto spoiled = spoil_checkpoint(bytes);

  const auto before = ControlFile::parse(bytes);
  const auto after = ControlFile::parse(spoiled);  // so the CRC is right
  EXPECT_EQ(after.checkpoint, kSpoiledCheckpoint);
  EXPECT_EQ(after.system_id, before.system_id);
  EXPECT_EQ(after.minimum_recovery_point, before.minimum_recovery_point);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) changed += bytes[i] != spoiled[i] ? 1 : 0;
  EXPECT_LE(changed, 8u + 4u);
  EXPECT_EQ(spoiled.size(), bytes.size());
}

INSTANTIATE_TEST_SUITE_P(All, ControlFileOf,
                         testing::Values(Said{"10", 7710960795568886031, 1002, 201707211,
                                              "0/2000298", 1, "0/2000298", 8192, 16u << 20, 0},
                                         Said{"11", 7710960814195028441, 1100, 201809051,
                                              "0/1000298", 1, "0/1000298", 8192, 4u << 20, 1},
                                         Said{"12", 7710960823860724232, 1201, 201909212,
                                              "0/C002A0", 1, "0/C002A0", 8192, 4u << 20, 0},
                                         Said{"13", 7710960833832473144, 1300, 202007201,
                                              "0/10002A0", 1, "0/10002A0", 8192, 4u << 20, 1},
                                         Said{"14", 7710960849105433192, 1300, 202107181,
                                              "0/C002A0", 1, "0/C002A0", 8192, 4u << 20, 0},
                                         Said{"15", 7710960940406228258, 1300, 202209061,
                                              "0/C002A0", 1, "0/C002A0", 8192, 4u << 20, 1},
                                         Said{"16", 7710960866234221208, 1300, 202307071,
                                              "0/C002A0", 1, "0/C002A0", 8192, 4u << 20, 0},
                                         Said{"17", 7710960888313389766, 1700, 202406281,
                                              "0/C002C0", 1, "0/C002C0", 8192, 4u << 20, 1},
                                         Said{"18", 7710960917211878295, 1800, 202506291,
                                              "0/C002C0", 1, "0/C002C0", 8192, 4u << 20, 0}),
                         [](const auto& test) {
                           return "PostgreSQL" + std::string(test.param.version);
                         });

TEST(ControlFile, WithOneFlippedBitIsRefused) {
  auto bytes = sample("15");
  bytes[100] ^= std::byte{1};

  EXPECT_THAT([&] { ControlFile::parse(bytes); }, throws(ErrorKind::corrupt, "checksum"));
  EXPECT_THAT([&] { spoil_checkpoint(bytes); }, throws(ErrorKind::corrupt, "checksum"));
}

TEST(ControlFile, OfAnotherLengthIsRefused) {
  auto bytes = sample("15");
  bytes.resize(512);
  EXPECT_THAT([&] { ControlFile::parse(bytes); }, throws(ErrorKind::corrupt, "512 bytes"));
  EXPECT_THAT([] { ControlFile::parse({}); }, throws(ErrorKind::corrupt, "0 bytes"));
}

TEST(ControlFile, OfAnUnknownVersionIsUnsupported) {
  auto bytes = sample("15");
  bytes[12] ^= std::byte{1};

  EXPECT_THAT([&] { ControlFile::parse(bytes); }, throws(ErrorKind::unsupported, "1300"));
}

TEST(ControlFile, OfABigEndianMachineIsUnsupported) {
  auto bytes = sample("15");
  std::reverse(bytes.begin() + 8, bytes.begin() + 12);

  EXPECT_THAT([&] { ControlFile::parse(bytes); }, throws(ErrorKind::unsupported, "big-endian"));
}

// Changes four bytes and makes the CRC right again, as a machine of another kind would have.
Bytes rewritten(std::size_t offset, std::uint32_t value) {
  auto bytes = sample("15");
  const auto store = [&](std::size_t at, std::uint32_t number) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(number >> (8 * i));
  };
  store(offset, value);
  store(288, codec::crc32c(ByteView(bytes).first(288)));
  return bytes;
}

TEST(ControlFile, OfOtherFloatingPointIsUnsupported) {
  EXPECT_THAT([] { ControlFile::parse(rewritten(208, 7)); },
              throws(ErrorKind::unsupported, "another kind"));
}

TEST(ControlFile, WithAnUnknownStateIsRefused) {
  EXPECT_THAT([] { ControlFile::parse(rewritten(16, 7)); }, throws(ErrorKind::corrupt, "state 7"));
}

}  // namespace
}  // namespace pgrevive::postgres
