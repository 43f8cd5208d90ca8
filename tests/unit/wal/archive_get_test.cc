#include "wal/archive_get.h"

#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "unit/wal/test_archive.h"
#include "wal/segment_file.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;
using test::throws;

class ArchiveGet : public testing::Test {
 protected:
  Request request(const std::string& name) const {
    return {.name = name,
            .destination = directory_ / "RECOVERYXLOG",
            .fork = fork_,
            .system_id = kSystemId,
            .version = kVersion,
            .gap_patience = std::chrono::milliseconds(0)};
  }
  Outcome get(const std::string& name) {
    return archive_get({archive_.get()}, kSize, request(name));
  }
  Outcome get_from_both(const std::string& name) {
    return archive_get({archive_.get(), second_.get()}, kSize, request(name));
  }

  // Everything in the directory that the file was to come to.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string delivered() const { return read_file(directory_ / "RECOVERYXLOG"); }

  test::TempDir directory_;
  TestArchive archive_;
  TestArchive second_;
  std::optional<Fork> fork_;
};

TEST_F(ArchiveGet, DeliversASegment) {
  const std::string name = "000000010000000000000005";
  archive_.put(name);

  EXPECT_EQ(get(name), Outcome::delivered);

  EXPECT_EQ(delivered(), wal(name));
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(ArchiveGet, ReplacesWhatAKilledRunLeft) {
  const std::string name = "000000010000000000000005";
  archive_.put(name);
  std::ofstream(directory_ / "RECOVERYXLOG") << "old";
  std::ofstream(directory_ / "RECOVERYXLOG.pgrevive.tmp") << std::string(2 * kSize, 'o');

  EXPECT_EQ(get(name), Outcome::delivered);

  EXPECT_EQ(delivered(), wal(name));
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(ArchiveGet, DeliversTextFilesAsTheyAre) {
  archive_.put_plain("00000002.history", "1\t0/500000\tnone\n");
  archive_.put_plain("0000000100000000/000000010000000000000003.00000028.backup", "START WAL\n");

  EXPECT_EQ(get("00000002.history"), Outcome::delivered);
  EXPECT_EQ(delivered(), "1\t0/500000\tnone\n");
  EXPECT_EQ(get("000000010000000000000003.00000028.backup"), Outcome::delivered);
  EXPECT_EQ(delivered(), "START WAL\n");
}

TEST_F(ArchiveGet, SaysAbsentOfWhatIsNotThere) {
  archive_.put("000000010000000000000004");

  for (const char* name :
       {"000000010000000000000005", "00000002.history", "000000010000000000000004.partial",
        "000000010000000000000003.00000028.backup"}) {
    EXPECT_EQ(get(name), Outcome::absent) << name;
  }
  EXPECT_EQ(files().size(), 0u);
}

TEST_F(ArchiveGet, DeliversAPartialSegmentOnlyUnderThatName) {
  const std::string name = "000000010000000000000005";
  archive_.put(name + ".partial");

  EXPECT_EQ(get(name), Outcome::absent);
  EXPECT_EQ(get(name + ".partial"), Outcome::delivered);
  EXPECT_EQ(delivered(), wal(name));
}

TEST_F(ArchiveGet, RefusesAnyOtherName) {
  for (const char* name : {"", "RECOVERYXLOG", "../../etc/passwd", "00000001000000000000000a"}) {
    EXPECT_THAT([&] { get(name); }, throws(ErrorKind::usage, "is not the name of a WAL file"));
  }
}

TEST_F(ArchiveGet, RefusesASegmentThatIsNotWhatItsNameSays) {
  const std::string name = "000000010000000000000005";
  struct Bad {
    std::string bytes;
    const char* why;
  };
  auto headless = wal(name);
  headless[2] = 0;
  auto other_size = wal(name);
  other_size[34] = 0x20;  // 2 MiB
  auto other_version = wal(name);
  other_version[0] = 0x13;
  for (const auto& [bytes, why] :
       {Bad{wal(name, 'x', kSystemId, kSize - 1), "has 1048575 bytes instead of 1048576"},
        Bad{wal(name, 'x', kSystemId, 10), "has 10 bytes"},
        Bad{wal(name, 'x', kSystemId, kSize + 1), "has more than 1048576 bytes"},
        Bad{wal(name, 'x', 42), "belongs to another cluster (system identifier 42"},
        Bad{wal("000000010000000000000006"), "holds the WAL at 0/600000 instead of 0/500000"},
        Bad{headless, "does not begin with a WAL page header"},
        Bad{other_size, "segments of 2097152 bytes"},
        Bad{other_version, "another version than PostgreSQL 15"}}) {
    const auto path = archive_.put(name, bytes);

    EXPECT_THAT([&] { get(name); }, throws(ErrorKind::corrupt, why));
    EXPECT_EQ(files().size(), 0u) << why;
    archive_.storage().remove(path);
  }
}

TEST_F(ArchiveGet, RefusesBytesThatDoNotMatchTheirChecksum) {
  const std::string name = "000000010000000000000005";
  const auto path = archive_.put(name, wal(name));
  archive_.storage().put(path, wal(name, 'y'));

  EXPECT_THAT([&] { get(name); }, throws(ErrorKind::corrupt, "checksum"));
  EXPECT_EQ(files().size(), 0u);
}

TEST_F(ArchiveGet, LeavesNothingWhereTheReadBreaksOff) {
  const std::string name = "000000010000000000000005";
  const auto path = archive_.put(name, wal(name));
  archive_.storage().fail(path, Error(ErrorKind::unavailable, "cut off"), 500'000);

  EXPECT_THAT([&] { get(name); }, throws(ErrorKind::unavailable, "cut off"));
  EXPECT_EQ(files().size(), 0u);
}

// "Could not look" must never pass for "is not there".
TEST_F(ArchiveGet, ThrowsWhereItCouldNotLook) {
  archive_.storage().fail("archive/main/15-1/0000000100000000",
                          Error(ErrorKind::unavailable, "no route"));
  archive_.storage().fail("archive/main/15-1/00000002.history",
                          Error(ErrorKind::denied, "forbidden"));

  EXPECT_THAT([&] { get("000000010000000000000005"); }, throws(ErrorKind::unavailable, "no route"));
  EXPECT_THAT([&] { get("00000002.history"); }, throws(ErrorKind::denied, "forbidden"));
}

TEST_F(ArchiveGet, ThrowsWhereItCouldNotLookForLaterSegments) {
  archive_.put("000000010000000000000004");
  archive_.storage().fail("archive/main/15-1", Error(ErrorKind::unavailable, "no route"));

  EXPECT_THAT([&] { get("000000010000000000000005"); }, throws(ErrorKind::unavailable, "no route"));
}

TEST_F(ArchiveGet, TakesTheFileFromTheNextRepositoryWhereOneIsInTrouble) {
  const std::string name = "000000010000000000000005";
  const auto path = archive_.put(name, wal(name, 'a'));
  second_.put(name, wal(name, 'b'));
  archive_.storage().put(path, wal(name, 'c'));

  EXPECT_EQ(get_from_both(name), Outcome::delivered);

  EXPECT_EQ(delivered(), wal(name, 'b'));
}

TEST_F(ArchiveGet, ThrowsWhereOneRepositoryIsInTroubleAndTheOtherHasNothing) {
  archive_.storage().fail("archive/main/15-1/0000000100000000",
                          Error(ErrorKind::unavailable, "no route"));

  EXPECT_THAT([&] { get_from_both("000000010000000000000005"); },
              throws(ErrorKind::unavailable, "no route"));
}

TEST_F(ArchiveGet, NamesAGap) {
  archive_.put("000000010000000000000004");
  archive_.put("000000010000000000000007");

  EXPECT_THAT([&] { get("000000010000000000000005"); },
              throws(ErrorKind::corrupt,
                     "gap: 000000010000000000000005 is missing, though 000000010000000000000007"));
}

TEST_F(ArchiveGet, SeesAGapAcrossRepositories) {
  archive_.put("000000010000000000000004");
  second_.put("000000010000000000000006");

  EXPECT_THAT([&] { get_from_both("000000010000000000000005"); },
              throws(ErrorKind::corrupt, "gap"));
  EXPECT_EQ(get("000000010000000000000005"), Outcome::absent) << "the first alone just ends there";
}

TEST_F(ArchiveGet, SeesAGapBeforeAFork) {
  archive_.put_plain("00000002.history", "1\t0/780000\tnone\n");
  archive_.put("000000020000000000000007");

  EXPECT_THAT([&] { get("000000010000000000000006"); },
              throws(ErrorKind::corrupt, "timeline 2 left timeline 1 after it"));
  EXPECT_EQ(get("000000010000000000000007"), Outcome::absent);
}

TEST_F(ArchiveGet, WaitsForASegmentThatIsStillBeingPushed) {
  const std::string name = "000000010000000000000005";
  archive_.put("000000010000000000000006");
  auto patient = request(name);
  patient.gap_patience = std::chrono::seconds(30);
  std::jthread push([&] { archive_.put(name); });

  EXPECT_EQ(archive_get({archive_.get()}, kSize, patient), Outcome::delivered);
  EXPECT_EQ(delivered(), wal(name));
}

// An unfinished one may end before the line leaves the timeline.
TEST_F(ArchiveGet, TakesAWholeSegmentOfAnyArchiveBeforeAnUnfinishedOne) {
  const std::string name = "000000010000000000000005";
  archive_.put_plain("00000003.history", "1\t0/580000\tnone\n");
  archive_.put(name + ".partial");
  const auto whole = wal(name, 'w');
  second_.put(name, whole);
  auto wanted = request(name);
  wanted.line = FollowedLine{.timeline = Timeline(3), .left_in = {name}};

  EXPECT_EQ(archive_get({archive_.get(), second_.get()}, kSize, wanted), Outcome::delivered);

  EXPECT_EQ(delivered().substr(0, 0x80000), whole.substr(0, 0x80000));
  EXPECT_EQ(delivered().substr(0x80000), std::string(kSize - 0x80000, '\0'));
}

// The replica of a primary that was promoted to timeline 3 at 0/680000, on a line that left 1 at
// 0/380000.
class ForkedReplica : public ArchiveGet {
 protected:
  ForkedReplica() {
    Fork fork;
    fork.history_text = "1\t0/380000\tnone\n2\t0/680000\tnone\n";
    fork.history = TimelineHistory::parse(Timeline(3), fork.history_text);
    fork_ = fork;
  }
};

TEST_F(ForkedReplica, TakesSegmentsOfItsAncestorsUpToTheFork) {
  for (const char* name : {"000000010000000000000002", "000000020000000000000005"}) {
    archive_.put(name);
    EXPECT_EQ(get(name), Outcome::delivered) << name;
  }
}

TEST_F(ForkedReplica, TakesNothingThatTheSourceWroteAfterTheFork) {
  for (const char* name :
       {"000000010000000000000003", "000000010000000000000004", "000000020000000000000006",
        "000000020000000000000007", "000000030000000000000006", "000000040000000000000002"}) {
    archive_.put(name);
    EXPECT_EQ(get(name), Outcome::absent) << name;
  }
  archive_.put("000000020000000000000006.partial");
  EXPECT_EQ(get("000000020000000000000006.partial"), Outcome::absent);
  EXPECT_TRUE(files().empty());
}

// The source lives and was promoted to its own timeline 3, and later to 4.
TEST_F(ForkedReplica, KnowsOnlyTheHistoriesOfItsOwnLine) {
  archive_.put_plain("00000002.history", "1\t0/380000\tnone\n");
  archive_.put_plain("00000003.history", "1\t0/380000\tnone\n2\t0/980000\tof the source\n");
  archive_.put_plain("00000004.history", "1\t0/380000\tnone\n3\t0/A80000\tof the source\n");

  EXPECT_EQ(get("00000002.history"), Outcome::delivered);
  EXPECT_EQ(get("00000003.history"), Outcome::delivered);
  EXPECT_EQ(delivered(), fork_->history_text);
  EXPECT_EQ(get("00000004.history"), Outcome::absent);
}

TEST_F(ForkedReplica, AsksItsPrimaryWhereTheArchiveHasAGap) {
  archive_.put("000000010000000000000002");

  EXPECT_EQ(get("000000010000000000000001"), Outcome::absent);
}

// Of a replica that was restored when its primary had gone on already.
TEST_F(ForkedReplica, TakesThePrimarysOwnSegmentsFromTheClustersArchive) {
  auto wanted = request("000000030000000000000006");
  wanted.own = true;
  archive_.put(wanted.name);
  EXPECT_EQ(archive_get({archive_.get()}, kSize, wanted), Outcome::delivered);
  EXPECT_EQ(delivered(), wal(wanted.name));
  // Behind what was expired it asks its primary.
  wanted.name = "000000030000000000000005";
  EXPECT_EQ(archive_get({archive_.get()}, kSize, wanted), Outcome::absent);
}

// With WAL_ARCHIVE=source the cluster's archive is the source's.
TEST_F(ForkedReplica, TakesNothingElseFromTheClustersArchive) {
  for (const char* name : {"000000020000000000000006", "000000010000000000000002"}) {
    archive_.put(name);
    auto wanted = request(name);
    wanted.own = true;
    EXPECT_EQ(archive_get({archive_.get()}, kSize, wanted), Outcome::absent) << name;
  }
  EXPECT_FALSE(fork_->is_own("00000003.history"));
  EXPECT_FALSE(fork_->is_own("000000030000000000000006.partial"));
}

TEST_F(ForkedReplica, DoesNotTouchTheArchiveForWhatIsNotAllowed) {
  archive_.storage().fail("archive/main/15-1/0000000300000000",
                          Error(ErrorKind::unavailable, "no route"));
  EXPECT_EQ(get("000000030000000000000006"), Outcome::absent);
}

TEST(Fork, IsReadBackAsItWasSaved) {
  const test::TempDir directory;
  Fork fork;
  fork.history_text = "1\t0/380000\tno recovery target specified\n\n2\t0/680000\tnone\n";
  fork.history = TimelineHistory::parse(Timeline(3), fork.history_text);

  fork.save(directory / "fork");
  const auto loaded = Fork::load(directory / "fork");

  EXPECT_EQ(loaded.history.timeline, Timeline(3));
  EXPECT_EQ(loaded.history.ancestors, fork.history.ancestors);
  EXPECT_EQ(loaded.history_text, fork.history_text);
}

TEST(Fork, OfAnotherFormIsRefused) {
  const test::TempDir directory;
  EXPECT_THAT([&] { Fork::load(directory / "none"); }, throws(ErrorKind::not_found));
  for (const char* text : {"", "3", "x\n1\t0/1\t\n", "0\n", "3\n1 here\n", "4294967296\n"}) {
    write_file_atomic(directory / "fork", text);
    EXPECT_THAT([&] { Fork::load(directory / "fork"); },
                throws(ErrorKind::corrupt, (directory / "fork").string()))
        << text;
  }
}

TEST(ExitStatus, IsZeroOrOneForOutcomesAndAboveAllThatPostgresTakesForAbsent) {
  EXPECT_EQ(exit_status(Outcome::delivered), 0);
  EXPECT_EQ(exit_status(Outcome::absent), 1);
  std::set<int> seen;
  for (int kind = static_cast<int>(ErrorKind::internal);
       kind <= static_cast<int>(ErrorKind::cancelled); ++kind) {
    const int status = exit_status(Error(static_cast<ErrorKind>(kind), ""));
    EXPECT_GE(status, 200);
    EXPECT_LE(status, 255);
    EXPECT_TRUE(seen.insert(status).second);
  }
}

TEST(WalFile, OfAnotherProcessIsNotPublished) {
  const test::TempDir directory;
  const auto temporary = directory / "RECOVERYXLOG.pgrevive.tmp";
  std::optional<WalFile> old(temporary);
  old->write(as_bytes("whole"));
  old->finish();
  WalFile other(temporary);
  other.write(as_bytes("ha"));

  EXPECT_THAT([&] { old->publish(directory / "RECOVERYXLOG"); },
              test::throws(ErrorKind::busy, "another process"));
  old.reset();

  EXPECT_FALSE(std::filesystem::exists(directory / "RECOVERYXLOG"));
  EXPECT_TRUE(std::filesystem::exists(temporary));
}

}  // namespace
}  // namespace pgrevive::wal
