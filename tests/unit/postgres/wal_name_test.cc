#include "postgres/wal_name.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::postgres {
namespace {

constexpr std::uint32_t kMiB = 1u << 20;

// The last name before the middle digits count up, by segment size, and the one after it.
struct Carry {
  std::uint32_t segment_size;
  const char* last;
  const char* next;
};

class WalSegmentOfSize : public testing::TestWithParam<Carry> {};

TEST_P(WalSegmentOfSize, CarriesAtFourGigabytes) {
  const auto last = WalSegment::parse(GetParam().last, GetParam().segment_size);

  EXPECT_EQ(last.end(), Lsn(std::uint64_t{0x13} << 32));
  EXPECT_EQ(last.next().name(), GetParam().next);
  EXPECT_EQ(last.name(), GetParam().last);
  EXPECT_EQ(WalSegment::parse(GetParam().next, GetParam().segment_size), last.next());
}

TEST_P(WalSegmentOfSize, HoldsExactlyItsBytes) {
  const auto segment = WalSegment::parse(GetParam().last, GetParam().segment_size);
  const auto holding = [&](Lsn lsn) {
    return WalSegment::containing(segment.timeline(), lsn, GetParam().segment_size);
  };

  EXPECT_EQ(holding(segment.begin()), segment);
  EXPECT_EQ(holding(Lsn(segment.end().value() - 1)), segment);
  EXPECT_EQ(holding(segment.end()), segment.next());
  EXPECT_EQ(segment.end().value() - segment.begin().value(), GetParam().segment_size);
}

TEST_P(WalSegmentOfSize, RefusesANumberThatTheSizeCannotHave) {
  const auto name = std::string(GetParam().last).substr(0, 16) +
                    fmt::format("{:08X}", (std::uint64_t{1} << 32) / GetParam().segment_size);

  EXPECT_THAT(
      [&] { WalSegment::parse(name, GetParam().segment_size); },
      testing::ThrowsMessage<Error>(testing::HasSubstr("is not the name of a WAL segment")));
}

INSTANTIATE_TEST_SUITE_P(
    All, WalSegmentOfSize,
    testing::Values(Carry{1 * kMiB, "000000020000001200000FFF", "000000020000001300000000"},
                    Carry{2 * kMiB, "0000000200000012000007FF", "000000020000001300000000"},
                    Carry{4 * kMiB, "0000000200000012000003FF", "000000020000001300000000"},
                    Carry{8 * kMiB, "0000000200000012000001FF", "000000020000001300000000"},
                    Carry{16 * kMiB, "0000000200000012000000FF", "000000020000001300000000"},
                    Carry{32 * kMiB, "00000002000000120000007F", "000000020000001300000000"},
                    Carry{64 * kMiB, "00000002000000120000003F", "000000020000001300000000"},
                    Carry{128 * kMiB, "00000002000000120000001F", "000000020000001300000000"},
                    Carry{256 * kMiB, "00000002000000120000000F", "000000020000001300000000"},
                    Carry{512 * kMiB, "000000020000001200000007", "000000020000001300000000"},
                    Carry{1024 * kMiB, "000000020000001200000003", "000000020000001300000000"}),
    [](const auto& test) { return std::to_string(test.param.segment_size / kMiB) + "MiB"; });

TEST(WalSegment, KeepsItsPlaceOnAnotherTimeline) {
  const auto segment = WalSegment::parse("000000010000000000000005", 16 * kMiB);

  EXPECT_EQ(segment.on(Timeline(3)).name(), "000000030000000000000005");
  EXPECT_EQ(segment.on(Timeline(3)).begin(), segment.begin());
}

TEST(WalSegment, RefusesWhatIsNoName) {
  for (const char* name : {"", "00000001000000000000000", "0000000100000000000000010",
                           "00000001000000000000000g", "00000001000000000000000a",
                           "000000010000000000000001.partial", "000000000000000000000001"}) {
    EXPECT_THROW(WalSegment::parse(name, 16 * kMiB), Error) << name;
  }
}

TEST(WalSegment, RefusesAnImpossibleSize) {
  for (const std::uint32_t size : {0u, 1u, kMiB / 2, 3 * kMiB, 2048 * kMiB}) {
    EXPECT_THROW(WalSegment::parse("000000010000000000000001", size), Error) << size;
    EXPECT_FALSE(is_segment_size(size));
  }
}

TEST(WalFileKind, IsToldByTheName) {
  EXPECT_EQ(wal_file_kind("00000001000000000000000A"), WalFileKind::segment);
  EXPECT_EQ(wal_file_kind("00000001000000000000000A.partial"), WalFileKind::partial);
  EXPECT_EQ(wal_file_kind("0000000A.history"), WalFileKind::history);
  EXPECT_EQ(wal_file_kind("00000001000000000000000A.00000028.backup"), WalFileKind::backup_history);
}

TEST(WalFileKind, OfAnythingElseIsOther) {
  for (const char* name :
       {"", "RECOVERYXLOG", "00000001000000000000000a", "0000000A.histor", "0000000a.history",
        "00000001000000000000000A.0000028.backup", "00000001000000000000000A.00000028.backup.gz",
        "00000001000000000000000A.partial2", "../00000001000000000000000A"}) {
    EXPECT_EQ(wal_file_kind(name), WalFileKind::other) << name;
  }
}

}  // namespace
}  // namespace pgrevive::postgres
