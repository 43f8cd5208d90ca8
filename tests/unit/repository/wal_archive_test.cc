#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "repository/repository.h"
#include "storage/posix.h"
#include "support/memory_storage.h"
#include "support/throws.h"

namespace pgrevive::repository {
namespace {

using test::MemoryStorage;
using test::throws;

constexpr std::uint64_t kSystemId = 77;
const postgres::Version kVersion = postgres::Version::of_major(15);

// A stanza whose cluster was upgraded and brought back, so that two archive ids are its own.
struct Archive {
  Archive() : storage(std::make_shared<MemoryStorage>()), repository(storage, "main", Secret()) {
    info.history = {{.id = 1, .system_id = kSystemId, .version = kVersion},
                    {.id = 2, .system_id = kSystemId, .version = postgres::Version::of_major(16)},
                    {.id = 3, .system_id = kSystemId, .version = kVersion}};
    info.current_id = 3;
  }

  WalArchive open() const { return {repository, info, kSystemId, kVersion}; }

  // Stores `text` as a segment under the name that pgBackRest would give it.
  std::string put(const std::string& id, const std::string& name, const std::string& text,
                  const std::string& suffix = "") {
    const std::string path = fmt::format("archive/main/{}/{}/{}-{}{}", id, name.substr(0, 16), name,
                                         codec::Sha1::of(as_bytes(text)).text(), suffix);
    storage->put(path, text);
    return path;
  }

  std::shared_ptr<MemoryStorage> storage;
  Repository repository;
  ArchiveInfo info;
};

const std::string kSegment = "0000000200000001000000A3";

TEST(WalArchive, LooksIntoTheNewestMatchingIdFirst) {
  const Archive archive;
  EXPECT_EQ(archive.open().archive_ids(), (std::vector<std::string>{"15-3", "15-1"}));
}

TEST(WalArchive, RefusesAClusterThatItNeverHeld) {
  const Archive archive;
  EXPECT_THAT([&] { WalArchive(archive.repository, archive.info, 78, kVersion); },
              throws(ErrorKind::not_found, "never held the cluster with system identifier 78"));
  EXPECT_THAT([&] { WalArchive(archive.repository, archive.info, 78, kVersion); },
              throws(ErrorKind::not_found, "it holds 77 of PostgreSQL 15, 77 of PostgreSQL 16"));
}

TEST(WalArchive, FindsASegmentByItsName) {
  Archive archive;
  const std::string object = archive.put("15-1", kSegment, "wal", ".zst");
  archive.put("15-1", kSegment + ".partial", "part", ".gz");
  archive.put("15-1", "0000000200000001000000A4", "next");
  archive.put("16-2", kSegment, "of another version");

  const auto found = archive.open().find_segment(kSegment);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->archive_id, "15-1");
  EXPECT_EQ(found->name, kSegment);
  EXPECT_EQ(found->object, object);
  EXPECT_EQ(found->checksum, codec::Sha1::of(as_bytes("wal")));
  EXPECT_EQ(found->compress_type, codec::CompressType::zst);
  const auto partial = archive.open().find_segment(kSegment + ".partial");
  ASSERT_TRUE(partial);
  EXPECT_EQ(partial->compress_type, codec::CompressType::gz);
}

TEST(WalArchive, DoesNotTakeAPartialSegmentForAWholeOne) {
  Archive archive;
  archive.put("15-1", kSegment + ".partial", "part");
  EXPECT_FALSE(archive.open().find_segment(kSegment));
}

TEST(WalArchive, PassesOverWhatIsNoSegment) {
  Archive archive;
  archive.put("15-1", kSegment, "wal", ".gz.pgbackrest.tmp");
  archive.put("15-1", kSegment, "wal", ".rar");
  const std::string directory = "archive/main/15-1/0000000200000001/";
  archive.storage->put(directory + kSegment, "no checksum");
  archive.storage->put(directory + kSegment + "-12", "short checksum");
  archive.storage->put(directory + kSegment + ".00000028.backup", "backup history");
  archive.storage->put(directory + "x-y", "");
  EXPECT_FALSE(archive.open().find_segment(kSegment));
  EXPECT_TRUE(archive.open().list_segments(postgres::Timeline(2)).empty());
  EXPECT_FALSE(archive.open().range("15-1"));
}

TEST(WalArchive, TakesTheSameSegmentTwiceAndRefusesTwoThatDiffer) {
  Archive archive;
  archive.put("15-1", kSegment, "wal", ".zst");
  const std::string newest = archive.put("15-3", kSegment, "wal", ".gz");
  EXPECT_EQ(archive.open().find_segment(kSegment)->object, newest);

  archive.put("15-1", kSegment, "other wal");
  EXPECT_THAT([&] { archive.open().find_segment(kSegment); },
              throws(ErrorKind::corrupt, "twice with different contents"));
}

TEST(WalArchive, NeverTakesTroubleForAbsence) {
  Archive archive;
  archive.put("15-3", kSegment, "wal");
  archive.storage->fail("archive/main/15-1/" + kSegment.substr(0, 16),
                        Error(ErrorKind::unavailable, "503"));
  EXPECT_THAT([&] { archive.open().find_segment("0000000200000001000000A9"); },
              throws(ErrorKind::unavailable, "503"));
  archive.storage->fail("archive/main/15-1", Error(ErrorKind::unavailable, "503"));
  EXPECT_THAT([&] { archive.open().list_segments(postgres::Timeline(2)); },
              throws(ErrorKind::unavailable));
  EXPECT_THAT([&] { archive.open().list_histories(); }, throws(ErrorKind::unavailable));
  archive.storage->fail("archive/main/15-1/00000009.history", Error(ErrorKind::unavailable, "503"));
  EXPECT_THAT([&] { archive.open().load_history("00000009.history"); },
              throws(ErrorKind::unavailable));
}

TEST(WalArchive, RefusesNamesOfAnotherKind) {
  const Archive holder;
  const WalArchive wal = holder.open();
  for (const char* name : {"", "../../x", "00000002.history", "0000000200000001000000a3"})
    EXPECT_THAT([&] { wal.find_segment(name); }, throws(ErrorKind::usage)) << name;
  for (const char* name : {"", "../00000002.history", "0000000200000001000000A3"})
    EXPECT_THAT([&] { wal.load_history(name); }, throws(ErrorKind::usage)) << name;
  EXPECT_THAT([&] { wal.load_backup_history("00000002.history"); }, throws(ErrorKind::usage));
  EXPECT_THAT([&] { wal.list_segments(postgres::Timeline(2), "../x"); }, throws(ErrorKind::usage));
}

TEST(WalArchive, LoadsHistoryFiles) {
  Archive archive;
  archive.storage->put("archive/main/15-1/00000002.history", "of the older id");
  archive.storage->put("archive/main/15-3/00000002.history", "1\t0/3000000\tno recovery\n");
  archive.storage->put("archive/main/15-1/0000000A.history", "x");
  archive.storage->put("archive/main/15-1/0000000200000001/" + kSegment + ".00000028.backup", "b");

  EXPECT_EQ(archive.open().load_history("00000002.history"), "1\t0/3000000\tno recovery\n");
  EXPECT_EQ(archive.open().load_history("00000003.history"), std::nullopt);
  EXPECT_EQ(archive.open().list_histories(),
            (std::vector{postgres::Timeline(2), postgres::Timeline(10)}));
  EXPECT_EQ(archive.open().load_backup_history(kSegment + ".00000028.backup"), "b");
  EXPECT_EQ(archive.open().load_backup_history(kSegment + ".00000029.backup"), std::nullopt);
}

TEST(WalArchive, ListsSegmentsOfATimelineInOrder) {
  Archive archive;
  for (const char* name :
       {"0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000",
        "000000010000000100000001", "000000020000000100000001"})
    archive.put("15-1", name, name, ".gz");
  archive.put("15-3", "000000010000000100000001", "000000010000000100000001");
  archive.put("15-3", "000000010000000100000002.partial", "p");

  const WalArchive wal = archive.open();

  EXPECT_EQ(wal.list_segments(postgres::Timeline(1)),
            (std::vector<std::string>{"0000000100000000000000FE", "0000000100000000000000FF",
                                      "000000010000000100000000", "000000010000000100000001"}));
  EXPECT_EQ(wal.list_segments(postgres::Timeline(1), "0000000100000000000000FF").size(), 3u);
  EXPECT_EQ(wal.list_segments(postgres::Timeline(1), "000000010000000100000002").size(), 0u);
  EXPECT_EQ(wal.list_segments(postgres::Timeline(2)).size(), 1u);
}

TEST(WalArchive, TellsTheNewestSegmentOfEveryTimeline) {
  Archive archive;
  for (const char* name : {"0000000100000000000000FF", "000000010000000100000000",
                           "000000020000000000000042", "000000020000000000000041"})
    archive.put("15-1", name, name, ".gz");
  archive.put("15-1", "000000010000000200000000.partial", "p");
  archive.put("15-3", "000000010000000100000001", "newer");
  archive.put("15-3", "000000040000000100000001.partial", "p");
  archive.storage->put("archive/main/15-3/00000003.history", "");

  EXPECT_EQ(archive.open().newest_segments(),
            (std::map<postgres::Timeline, std::string>{
                {postgres::Timeline(1), "000000010000000100000001"},
                {postgres::Timeline(2), "000000020000000000000042"},
                {postgres::Timeline(3), ""},
                {postgres::Timeline(4), ""}}));
}

TEST(WalArchive, FindsAllSegmentsAroundAPlaceOnThisAndLaterTimelines) {
  Archive archive;
  archive.put("15-1", "0000000100000001000000A3", "earlier timeline");
  archive.put("15-1", "0000000200000000000000FF", "before");
  archive.put("15-1", kSegment, "a", ".zst");
  archive.put("15-3", kSegment, "another content");
  archive.put("15-3", "0000000200000001000000A4.partial", "part");
  archive.put("15-3", "000000030000000200000001", "b");
  archive.put("15-3", "000000020000000300000001", "behind");

  std::vector<std::string> found;
  for (const auto& segment :
       archive.open().find_segments("0000000200000001000000B0", "000000020000000200000000"))
    found.push_back(segment.archive_id + "/" + segment.name);

  EXPECT_EQ(found, (std::vector<std::string>{"15-3/" + kSegment, "15-3/000000030000000200000001",
                                             "15-1/" + kSegment}));
}

TEST(WalArchive, TellsTheRangeOfAnIdAcrossDirectoriesWithoutSegments) {
  Archive archive;
  archive.storage->put(
      "archive/main/15-1/0000000100000000/000000010000000000000001.00000028.backup", "b");
  archive.put("15-1", "000000010000000200000005", "a");
  archive.put("15-1", "000000010000000200000007", "b");
  archive.put("15-1", "000000010000000300000007.partial", "c");

  const auto range = archive.open().range("15-1");

  ASSERT_TRUE(range);
  EXPECT_EQ(range->min, "000000010000000200000005");
  EXPECT_EQ(range->max, "000000010000000200000007");
  EXPECT_FALSE(archive.open().range("15-3"));
}

TEST(WalArchive, FinishesOnlySegmentsWhoseChecksumIsThatOfTheirName) {
  Archive archive;
  const std::string object = archive.put("15-1", kSegment, "the plain bytes");
  const auto segment = archive.open().find_segment(kSegment);

  MemorySink good;
  archive.open().read_segment(*segment, good);
  EXPECT_EQ(as_text(good.bytes()), "the plain bytes");
  EXPECT_TRUE(good.finished());

  archive.storage->put(object, "other plain bytes");
  MemorySink bad;
  EXPECT_THAT([&] { archive.open().read_segment(*segment, bad); },
              throws(ErrorKind::corrupt, "checksum does not match"));
  EXPECT_THAT([&] { archive.open().read_segment(*segment, bad); },
              throws(ErrorKind::corrupt, "while reading memory:" + object));
  EXPECT_FALSE(bad.finished());
}

TEST(WalArchive, ReadsCompressedAndEncryptedSegmentsOfPgBackRest) {
  for (const auto& [name, passphrase] :
       {std::pair("pg15-lz4", ""), std::pair("pg15-zst-aes", "fixture-pass-15")}) {
    const Repository repository(
        storage::open_posix(std::string(TEST_DATA_DIR) + "/repository/" + name), "main",
        Secret(passphrase));
    const auto info = repository.load_archive_info();
    const WalArchive archive(repository, info, info.history.at(0).system_id, kVersion);
    const auto segment = archive.find_segment("000000010000000000000038");
    ASSERT_TRUE(segment) << name;

    MemorySink plain;
    archive.read_segment(*segment, plain);

    EXPECT_TRUE(plain.finished());
    EXPECT_EQ(plain.bytes().size(), 1u << 20);
    const auto history = archive.load_backup_history("000000010000000000000038.00000028.backup");
    ASSERT_TRUE(history);
    EXPECT_TRUE(history->starts_with("START WAL LOCATION: 0/3800028")) << *history;
  }
}

}  // namespace
}  // namespace pgrevive::repository
