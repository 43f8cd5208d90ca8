#include "repository/recovery_points.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "repository/repository.h"
#include "storage/posix.h"
#include "support/memory_storage.h"
#include "support/throws.h"

namespace pgrevive::repository {
namespace {

using postgres::Lsn;
using postgres::Timeline;

constexpr std::uint32_t kSize = 16u << 20;

std::string segment(std::uint32_t timeline, std::uint64_t number) {
  return postgres::WalSegment(Timeline(timeline), number, kSize).name();
}

// A backup that needs segments start to stop of a timeline, and stopped at second `time`.
Backup backup(std::uint32_t timeline, std::uint64_t start, std::uint64_t stop, std::int64_t time) {
  Backup made{.label = BackupLabel::parse("20240115-020000F")};
  made.archive_start = segment(timeline, start);
  made.archive_stop = segment(timeline, stop);
  made.lsn_start = Lsn(start * kSize + 40);
  made.lsn_stop = Lsn(stop * kSize + 256);
  made.timestamp_stop = time;
  return made;
}

ArchiveContents contents(
    std::map<std::uint32_t, std::vector<std::uint64_t>> segments,
    std::map<std::uint32_t, std::vector<std::pair<std::uint32_t, Lsn>>> histories = {}) {
  ArchiveContents made{.segment_size = kSize};
  for (auto& [timeline, numbers] : segments) made.segments[Timeline(timeline)] = numbers;
  for (const auto& [timeline, ancestors] : histories) {
    auto& history = made.histories[Timeline(timeline)];
    history.timeline = Timeline(timeline);
    for (const auto& [ancestor, ended] : ancestors)
      history.ancestors.push_back({Timeline(ancestor), ended, "promoted"});
    history = history.straight();  // as load_contents() does
  }
  return made;
}

TEST(RecoveryPoints, ReachToTheEndOfTheWalThatFollows) {
  const auto points =
      find_recovery_points(backup(1, 5, 6, 1000), {}, contents({{1, {4, 5, 6, 7, 8}}}));

  EXPECT_EQ(points.from, 1000);
  EXPECT_EQ(points.missing, "");
  ASSERT_EQ(points.lines.size(), 1u);
  EXPECT_EQ(points.lines[0].timeline, Timeline(1));
  EXPECT_EQ(points.lines[0].last_segment, segment(1, 8));
  EXPECT_EQ(points.lines[0].end, Lsn(9 * kSize));
  EXPECT_EQ(points.lines[0].reaches_time, 1000);
  EXPECT_TRUE(points.lines[0].gaps.empty());
}

TEST(RecoveryPoints, EndAtAGapAndNameIt) {
  const auto points =
      find_recovery_points(backup(1, 5, 5, 1000), {}, contents({{1, {5, 6, 9, 10, 12, 13}}}));

  ASSERT_EQ(points.lines.size(), 1u);
  EXPECT_EQ(points.lines[0].last_segment, segment(1, 6));
  EXPECT_EQ(points.lines[0].gaps, (std::vector<WalGap>{{segment(1, 7), segment(1, 8), 2},
                                                       {segment(1, 11), segment(1, 11), 1}}));
}

TEST(RecoveryPoints, DoNotExistWhereABackupLacksItsOwnWal) {
  const auto lacking = backup(1, 5, 7, 1000);
  EXPECT_EQ(find_recovery_points(lacking, {}, contents({{1, {5, 7, 8}}})).missing, segment(1, 6));
  EXPECT_EQ(find_recovery_points(lacking, {}, contents({{1, {6, 7}}})).missing, segment(1, 5));
  EXPECT_EQ(find_recovery_points(lacking, {}, contents({{2, {5, 6, 7}}})).missing, segment(1, 5));
  EXPECT_EQ(find_recovery_points(lacking, {}, ArchiveContents()).missing, segment(1, 5));
  EXPECT_TRUE(find_recovery_points(lacking, {}, contents({{1, {5, 7, 8}}})).lines.empty());
}

TEST(RecoveryPoints, AreOneForABackupMadeOffline) {
  Backup offline{.label = BackupLabel::parse("20240115-020000F")};
  offline.timestamp_stop = 1000;
  const auto points = find_recovery_points(offline, {}, contents({{1, {5}}}));
  EXPECT_EQ(points.from, 1000);
  EXPECT_EQ(points.missing, "");
  EXPECT_TRUE(points.lines.empty());
}

TEST(RecoveryPoints, FollowTimelinesThatBranchOffAfterTheBackup) {
  // 2 left 1 within segment 7 and 3 left 2 within segment 9; 1 went on by itself to 8.
  const auto archive = contents({{1, {5, 6, 7, 8}}, {2, {7, 8, 9}}, {3, {9, 10}}},
                                {{2, {{1, Lsn(7 * kSize + 100)}}},
                                 {3, {{1, Lsn(7 * kSize + 100)}, {2, Lsn(9 * kSize + 100)}}}});

  const auto points = find_recovery_points(backup(1, 5, 6, 1000), {}, archive);

  ASSERT_EQ(points.lines.size(), 3u);
  EXPECT_EQ(points.lines[0].last_segment, segment(1, 8));
  EXPECT_EQ(points.lines[1].timeline, Timeline(2));
  EXPECT_EQ(points.lines[1].last_segment, segment(2, 9));
  EXPECT_EQ(points.lines[2].timeline, Timeline(3));
  EXPECT_EQ(points.lines[2].last_segment, segment(3, 10));
  EXPECT_EQ(points.lines[2].end, Lsn(11 * kSize));
}

TEST(RecoveryPoints, DoNotFollowABranchThatLiesBeforeTheBackup) {
  const auto archive =
      contents({{1, {5, 6, 7, 8}}, {2, {5, 6, 7}}}, {{2, {{1, Lsn(5 * kSize + 100)}}}});
  const auto points = find_recovery_points(backup(1, 6, 7, 1000), {}, archive);
  ASSERT_EQ(points.lines.size(), 1u);
  EXPECT_EQ(points.lines[0].timeline, Timeline(1));
}

TEST(RecoveryPoints, StartOnTheTimelineOfTheBackup) {
  const auto archive =
      contents({{1, {5, 6, 7, 8}}, {2, {7, 8, 9}}}, {{2, {{1, Lsn(7 * kSize + 100)}}}});
  const auto points = find_recovery_points(backup(2, 8, 8, 1000), {}, archive);
  ASSERT_EQ(points.lines.size(), 1u);
  EXPECT_EQ(points.lines[0].timeline, Timeline(2));
  EXPECT_EQ(points.lines[0].last_segment, segment(2, 9));
}

TEST(RecoveryPoints, TakeABranchAtTheVeryBeginningOfASegment) {
  const auto archive = contents({{1, {5, 6}}, {2, {7, 8}}}, {{2, {{1, Lsn(7 * kSize)}}}});
  const auto points = find_recovery_points(backup(1, 5, 5, 1000), {}, archive);
  ASSERT_EQ(points.lines.size(), 2u);
  EXPECT_EQ(points.lines[1].last_segment, segment(2, 8));
}

TEST(RecoveryPoints, FollowALineWhoseHistoryFalls) {
  // The source was recovered to within 5 and opened 2, then to within 3 on the way to the latest,
  // and opened 3: its history says that it left 2, which it never touched.
  const auto archive = contents({{1, {1, 2, 3, 4, 5}}, {2, {5, 6}}, {3, {3, 4, 5, 6, 7}}},
                                {{2, {{1, Lsn(5 * kSize + 100)}}},
                                 {3, {{1, Lsn(5 * kSize + 100)}, {2, Lsn(3 * kSize + 100)}}}});

  const auto points = find_recovery_points(backup(1, 1, 2, 1000), {}, archive);
  ASSERT_EQ(points.lines.size(), 3u);
  EXPECT_EQ(points.lines[2].timeline, Timeline(3));
  EXPECT_EQ(points.lines[2].last_segment, segment(3, 7));
  EXPECT_TRUE(points.lines[2].gaps.empty());

  const auto later = find_recovery_points(backup(3, 4, 5, 1000), {}, archive);
  EXPECT_EQ(later.missing, "");
  ASSERT_EQ(later.lines.size(), 1u);
  EXPECT_EQ(later.lines[0].last_segment, segment(3, 7));
}

TEST(RecoveryPoints, LeaveOutABranchWithoutWalAndTellOfOneBehindAGap) {
  const auto branch = std::map<std::uint32_t, std::vector<std::pair<std::uint32_t, Lsn>>>{
      {2, {{1, Lsn(7 * kSize + 100)}}}};
  const auto made = backup(1, 5, 5, 1000);
  EXPECT_EQ(find_recovery_points(made, {}, contents({{1, {5, 6, 7}}}, branch)).lines.size(), 1u);
  const auto behind = find_recovery_points(made, {}, contents({{1, {5}}, {2, {7, 8}}}, branch));
  ASSERT_EQ(behind.lines.size(), 2u);
  EXPECT_EQ(behind.lines[1].timeline, Timeline(2));
  EXPECT_EQ(behind.lines[1].last_segment, segment(1, 5));
  EXPECT_EQ(behind.lines[1].gaps, (std::vector<WalGap>{{segment(1, 6), segment(1, 6), 1}}));
}

TEST(RecoveryPoints, KnowALaterMomentFromALaterBackup) {
  const auto first = backup(1, 5, 5, 1000);
  const auto second = backup(1, 7, 7, 2000);
  const auto behind_a_gap = backup(1, 10, 10, 3000);
  const auto elsewhere = backup(2, 7, 7, 4000);
  const auto points = find_recovery_points(first, {first, second, behind_a_gap, elsewhere},
                                           contents({{1, {5, 6, 7, 8, 10}}}));
  EXPECT_EQ(points.lines.at(0).reaches_time, 2000);
}

TEST(ArchiveContents, AreLoadedFromAnArchive) {
  const auto storage = std::make_shared<test::MemoryStorage>();
  // The long page header of the first page, with a segment size of 64 MiB.
  std::string page(8192, '\0');
  page[2] = 2;
  page[32 + 3] = 4;
  for (const char* name : {"00000001000000000000003F", "000000010000000100000000"}) {
    storage->put(fmt::format("archive/main/15-1/{:.16}/{}-{}", name, name,
                             codec::Sha1::of(as_bytes(page)).text()),
                 page);
  }
  storage->put("archive/main/15-1/00000002.history", "1\t0/FD000000\tno recovery target\n");
  // Recovered on the way to 2, to a point before that began.
  storage->put("archive/main/15-1/00000003.history",
               "1\t0/FD000000\tno recovery target\n2\t0/FC000000\tbefore a time\n");
  const Repository repository(storage, "main", Secret());
  ArchiveInfo info;
  info.history = {{.id = 1, .system_id = 7, .version = postgres::Version::of_major(15)}};
  const WalArchive archive(repository, info, 7, postgres::Version::of_major(15));

  const auto loaded = load_contents(archive);

  EXPECT_EQ(loaded.segment_size, 64u << 20);
  EXPECT_EQ(loaded.segments.at(Timeline(1)), (std::vector<std::uint64_t>{63, 64}));
  EXPECT_EQ(loaded.histories.at(Timeline(2)).ancestors.size(), 1u);
  const auto& fell = loaded.histories.at(Timeline(3));
  ASSERT_EQ(fell.ancestors.size(), 1u) << "it is straight";
  EXPECT_EQ(fell.left(Timeline(1)), Lsn(0xFC000000));
  EXPECT_EQ(load_line(archive, Timeline(3)), fell);
  EXPECT_EQ(load_line(archive, Timeline(4)), std::nullopt);
}

TEST(WalArchive, TellsTheSegmentSizeFromTheBeginningOfASegment) {
  const Repository repository(
      storage::open_posix(std::string(TEST_DATA_DIR) + "/repository/pg15-zst-aes"), "main",
      Secret("fixture-pass-15"));
  const auto info = repository.load_archive_info();
  const WalArchive archive(repository, info, info.history.at(0).system_id,
                           postgres::Version::of_major(15));
  EXPECT_EQ(archive.load_segment_size(*archive.find_segment("000000010000000000000038")), 1u << 20);

  const auto storage = std::make_shared<test::MemoryStorage>();
  storage->put("x", std::string(100, 'x'));
  storage->put("short", "");
  const Repository other(storage, "main", Secret());
  ArchiveInfo plain = info;
  plain.wal_passphrase = Secret();
  const WalArchive bad(other, plain, info.history.at(0).system_id, postgres::Version::of_major(15));
  for (const char* object : {"x", "short"}) {
    EXPECT_THAT([&] { bad.load_segment_size({.object = object}); },
                test::throws(ErrorKind::corrupt, "does not begin with a page of WAL"));
  }
}

}  // namespace
}  // namespace pgrevive::repository
