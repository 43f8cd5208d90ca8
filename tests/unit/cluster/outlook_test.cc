#include "cluster/outlook.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/wal_name.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using repository::ArchiveContents;
using restore::RecoveryTarget;
using restore::RecoveryType;
using ::testing::HasSubstr;

constexpr std::uint32_t kSize = 16u << 20;
constexpr std::int64_t kSecond = 1'000'000;

std::string segment(std::uint32_t timeline, std::uint64_t number) {
  return postgres::WalSegment(Timeline(timeline), number, kSize).name();
}

// Began in segment 5, was consistent in segment 6 at 1704067200 (2024-01-01 00:00:00 UTC).
repository::Backup backup() {
  repository::Backup made{.label = repository::BackupLabel::parse("20240101-000000F")};
  made.archive_start = segment(1, 5);
  made.archive_stop = segment(1, 6);
  made.lsn_start = Lsn(5 * kSize + 40);
  made.lsn_stop = Lsn(6 * std::uint64_t{kSize} + 256);
  made.timestamp_stop = 1704067200;
  return made;
}

// Judges with an archive of timeline 1, and the seconds after midnight at which the newest
// transaction of some segments ended.
struct Case {
  ArchiveContents contents{
      .segment_size = kSize, .segments = {{Timeline(1), {5, 6, 7, 8, 9, 10, 11}}}, .histories = {}};
  postgres::TimelineHistory line{.timeline = Timeline(1), .ancestors = {}};
  std::map<std::string, int> newest = {{segment(1, 6), 5},   {segment(1, 7), 10},
                                       {segment(1, 8), 20},  {segment(1, 9), 30},
                                       {segment(1, 10), 40}, {segment(1, 11), 50}};
  Lsn last_record = Lsn(12 * std::uint64_t{kSize} - 1);  // full to its last byte
  mutable std::set<std::string> asked = {};
  mutable Lsn looked_until = {};

  Outlook judge(RecoveryType type, const std::string& target = {}, bool exclusive = false,
                bool exact = true) const {
    const auto made = backup();
    RecoveryTarget wanted;
    wanted.type = type;
    wanted.target = target;
    wanted.exclusive = exclusive;
    return judge_target(made, repository::find_recovery_points(made, {made}, contents), kSize, line,
                        wanted,
                        {.latest_transaction = [&](const std::string& name,
                                                   Lsn until) -> std::optional<std::int64_t> {
                           asked.insert(name);
                           looked_until = until;
                           const auto found = newest.find(name);
                           if (found == newest.end()) return {};
                           return (1704067200 + found->second) * kSecond;
                         },
                         .newest_record = [&](const std::string& name) -> std::optional<Lsn> {
                           asked.insert(name);
                           return last_record;
                         }},
                        exact);
  }
  std::string complaint(RecoveryType type, const std::string& target = {}) const {
    const auto outlook = judge(type, target);
    return outlook.problem ? outlook.problem->text() : "none";
  }
};

TEST(Outlook, LatestNeedsAllThereIs) {
  const auto outlook = Case().judge(RecoveryType::latest);
  EXPECT_FALSE(outlook.problem);
  EXPECT_EQ(outlook.first_segment, segment(1, 5));
  EXPECT_EQ(outlook.last_segment, segment(1, 11));
  EXPECT_EQ(outlook.segments, 7u);
  EXPECT_EQ(outlook.timeline, Timeline(1));
  EXPECT_EQ(outlook.end, Lsn(12 * std::uint64_t{kSize}));
  EXPECT_TRUE(outlook.certain);
}

TEST(Outlook, ImmediateNeedsTheBackupsOwn) {
  const auto outlook = Case().judge(RecoveryType::immediate);
  EXPECT_FALSE(outlook.problem);
  EXPECT_EQ(outlook.last_segment, segment(1, 6));
  EXPECT_EQ(outlook.segments, 2u);
}

TEST(Outlook, LatestIsRefusedWithAGapAndNothingElseIsThatLiesBeforeIt) {
  Case gap;
  gap.contents.segments[Timeline(1)] = {5, 6, 7, 10, 11};
  EXPECT_THAT(gap.complaint(RecoveryType::latest),
              HasSubstr("gap: segments " + segment(1, 8) + " to " + segment(1, 9) + " (2)"));
  EXPECT_THAT(gap.complaint(RecoveryType::latest), HasSubstr("2024-01-01 00:00:10+00"));
  EXPECT_EQ(gap.complaint(RecoveryType::immediate), "none");
  EXPECT_EQ(gap.complaint(RecoveryType::standby), "none");
  EXPECT_EQ(gap.complaint(RecoveryType::lsn, "0/7100000"), "none");
  EXPECT_THAT(gap.complaint(RecoveryType::lsn, "0/A100000"), HasSubstr("has a gap at 0/8000000"));
  EXPECT_EQ(gap.complaint(RecoveryType::time, "2024-01-01 00:00:09+00"), "none");
  EXPECT_THAT(gap.complaint(RecoveryType::time, "2024-01-01 00:00:30+00"),
              HasSubstr(segment(1, 8)));
}

TEST(Outlook, TellsWhetherItIsTheGapThatIsInTheWay) {
  Case gap;
  gap.contents.segments[Timeline(1)] = {5, 6, 7, 10, 11};
  EXPECT_TRUE(gap.judge(RecoveryType::latest).ends_at_gap);
  EXPECT_TRUE(gap.judge(RecoveryType::lsn, "0/A100000").ends_at_gap);
  EXPECT_TRUE(gap.judge(RecoveryType::time, "2024-01-01 00:00:30+00").ends_at_gap);
  EXPECT_FALSE(gap.judge(RecoveryType::lsn, "0/60000FF").ends_at_gap);  // before the backup
  EXPECT_FALSE(gap.judge(RecoveryType::time, "2023-12-31 00:00:00+00").ends_at_gap);
  EXPECT_FALSE(Case().judge(RecoveryType::lsn, "0/C000000").ends_at_gap);
}

TEST(Outlook, BackupWithoutItsOwnWalIsNone) {
  Case lacking;
  lacking.contents.segments[Timeline(1)] = {5, 7, 8};
  for (const auto type : {RecoveryType::latest, RecoveryType::immediate})
    EXPECT_THAT(lacking.complaint(type), HasSubstr("the archive has no " + segment(1, 6)));
}

TEST(Outlook, LsnLiesBetweenTheBackupsEndAndTheArchives) {
  const Case whole;
  EXPECT_THAT(whole.complaint(RecoveryType::lsn, "0/60000FF"),
              HasSubstr("lies before 0/6000100, where backup 20240101-000000F became"));
  EXPECT_EQ(whole.judge(RecoveryType::lsn, "0/6000100").last_segment, segment(1, 6));
  EXPECT_EQ(whole.judge(RecoveryType::lsn, "0/9000000").segments, 5u);
  EXPECT_EQ(whole.complaint(RecoveryType::lsn, "0/BFFFFFF"), "none");
  EXPECT_THAT(whole.complaint(RecoveryType::lsn, "0/C000000"), HasSubstr("ends at 0/C000000"));
}

TEST(Outlook, LsnBehindTheNewestRecordIsNotInTheArchive) {
  Case switched;
  switched.last_record = Lsn(11 * std::uint64_t{kSize} + 4096);
  EXPECT_EQ(switched.complaint(RecoveryType::lsn, "0/B001000"), "none");
  EXPECT_THAT(switched.complaint(RecoveryType::lsn, "0/B001001"),
              HasSubstr("whose newest record begins at 0/B001000"));
  EXPECT_THAT(switched.complaint(RecoveryType::lsn, "0/B001001"),
              HasSubstr("to 2024-01-01 00:00:50+00, LSN 0/B001000 on"));
  // Of one in which no record begins.
  switched.last_record = Lsn();
  EXPECT_THAT(switched.complaint(RecoveryType::lsn, "0/B000028"),
              HasSubstr("begins before " + segment(1, 11)));
  switched.asked.clear();
  EXPECT_EQ(switched.complaint(RecoveryType::lsn, "0/A001001"), "none");
  EXPECT_TRUE(switched.asked.empty());
}

TEST(Outlook, NamesNoEndThatLiesBeforeTheBeginning) {
  Case quiet;
  quiet.newest = {{segment(1, 11), -1}};
  EXPECT_THAT(quiet.complaint(RecoveryType::lsn, "0/C000000"),
              HasSubstr("from 2024-01-01 00:00:00+00, LSN 0/6000100 to LSN 0/C000000"));
  quiet.newest = {{segment(1, 11), 0}};
  EXPECT_THAT(quiet.complaint(RecoveryType::lsn, "0/C000000"),
              HasSubstr(" to 2024-01-01 00:00:00+00, LSN 0/C000000"));
}

TEST(Outlook, TimeNeedsATransactionThatEndedAfterIt) {
  const Case whole;
  const auto at = [](const char* second) { return std::string("2024-01-01 00:00:") + second; };
  EXPECT_THAT(whole.complaint(RecoveryType::time, "2023-12-31 23:59:59+00"),
              HasSubstr("lies before 2024-01-01 00:00:00+00, when backup"));
  EXPECT_EQ(whole.complaint(RecoveryType::time, at("49.999999+00")), "none");
  EXPECT_THAT(whole.complaint(RecoveryType::time, at("50+00")),
              HasSubstr("the newest transaction is of 2024-01-01 00:00:50+00"));
  EXPECT_FALSE(whole.judge(RecoveryType::time, at("50+00"), true).problem);
  EXPECT_TRUE(whole.judge(RecoveryType::time, at("50.000001+00"), true).problem);
}

TEST(Outlook, TimeEndsInTheFirstSegmentWithALaterTransaction) {
  Case whole;
  EXPECT_EQ(whole.judge(RecoveryType::time, "2024-01-01 00:00:25+00").last_segment, segment(1, 9));
  EXPECT_EQ(whole.judge(RecoveryType::time, "2024-01-01 00:00:03+00").last_segment, segment(1, 6));
  EXPECT_EQ(whole.judge(RecoveryType::time, "2024-01-01 00:00:20+00").last_segment, segment(1, 9));
  whole.newest.erase(segment(1, 9));  // one that nothing ended in tells nothing
  EXPECT_EQ(whole.judge(RecoveryType::time, "2024-01-01 00:00:25+00").last_segment, segment(1, 10));
  // Where only yes or no is asked for, the end of the archive says it.
  whole.asked.clear();
  whole.judge(RecoveryType::time, "2024-01-01 00:00:25+00", false, false);
  EXPECT_EQ(whole.asked, std::set<std::string>{segment(1, 11)});
}

TEST(Outlook, TimeIsLookedForDownToTheBackupsEnd) {
  Case quiet;
  auto& segments = quiet.contents.segments[Timeline(1)];
  for (std::uint64_t number = 12; number < 40; ++number) segments.push_back(number);
  EXPECT_THAT(quiet.complaint(RecoveryType::time, "2024-01-01 00:00:51+00"),
              HasSubstr("the newest transaction is of 2024-01-01 00:00:50+00"));
  EXPECT_EQ(quiet.complaint(RecoveryType::time, "2024-01-01 00:00:49+00"), "none");
  quiet.newest.clear();
  EXPECT_THAT(quiet.complaint(RecoveryType::time, "2024-01-01 00:00:25+00"),
              HasSubstr("where no transaction ended since backup 20240101-000000F"));
  EXPECT_FALSE(quiet.asked.contains(segment(1, 5)));
}

TEST(Outlook, TimeEndsInTheSegmentBehindManyQuietOnes) {
  Case quiet;
  auto& segments = quiet.contents.segments[Timeline(1)];
  for (std::uint64_t number = 12; number < 60; ++number) segments.push_back(number);
  quiet.newest = {{segment(1, 6), 5}, {segment(1, 9), 30}, {segment(1, 58), 80}};
  const auto last_for = [&](const char* time) {
    return quiet.judge(RecoveryType::time, time).last_segment;
  };
  EXPECT_EQ(last_for("2024-01-01 00:00:20+00"), segment(1, 9));
  EXPECT_EQ(last_for("2024-01-01 00:00:40+00"), segment(1, 58));
}

TEST(Outlook, IsUncertainWhereNothingTells) {
  EXPECT_FALSE(Case().judge(RecoveryType::name, "x").certain);
  EXPECT_FALSE(Case().judge(RecoveryType::xid, "7").certain);
}

TEST(Outlook, OfATimelineWithoutWalEndsWhereItLeftTheOneBefore) {
  Case branched;
  branched.contents.segments[Timeline(1)] = {5, 6, 7, 8, 11};  // what lies behind is not its own
  branched.contents.histories[Timeline(2)] = {
      .timeline = Timeline(2),
      .ancestors = {{Timeline(1), Lsn(8 * std::uint64_t{kSize} + 1000), "promoted"}}};
  branched.line = branched.contents.histories[Timeline(2)];
  const auto outlook = branched.judge(RecoveryType::latest);
  EXPECT_FALSE(outlook.problem) << outlook.problem->text();
  EXPECT_EQ(outlook.end, Lsn(8 * std::uint64_t{kSize} + 1000));
  EXPECT_EQ(outlook.timeline, Timeline(2));
  EXPECT_EQ(outlook.segments, 4u);
  // What ended in the old timeline's segment before it was left.
  const auto time = branched.judge(RecoveryType::time, "2024-01-01 00:00:15+00");
  EXPECT_FALSE(time.problem) << time.problem->text();
  EXPECT_EQ(time.last_segment, segment(1, 8));
  EXPECT_EQ(branched.looked_until, outlook.end);
  EXPECT_TRUE(branched.judge(RecoveryType::lsn, "0/8000FFF").problem);
}

TEST(Outlook, IsRefusedWhereTheSegmentBeforeTheForkIsLost) {
  Case lost;
  lost.contents.segments = {{Timeline(1), {5, 6}}, {Timeline(2), {8, 9}}};
  lost.contents.histories[Timeline(2)] = {
      .timeline = Timeline(2),
      .ancestors = {{Timeline(1), Lsn(8 * std::uint64_t{kSize} + 1000), "promoted"}}};
  lost.line = lost.contents.histories[Timeline(2)];
  EXPECT_THAT(lost.complaint(RecoveryType::latest), HasSubstr(segment(1, 7)));
}

TEST(Outlook, FollowsTheLineAcrossTimelines) {
  Case branched;
  branched.contents.segments[Timeline(2)] = {8, 9};
  branched.contents.histories[Timeline(2)] = {
      .timeline = Timeline(2),
      .ancestors = {{Timeline(1), Lsn(8 * std::uint64_t{kSize} + 1000), "promoted"}}};
  branched.line = branched.contents.histories[Timeline(2)];
  branched.newest[segment(2, 8)] = 22;
  branched.newest[segment(2, 9)] = 60;
  auto outlook = branched.judge(RecoveryType::latest);
  EXPECT_EQ(outlook.timeline, Timeline(2));
  EXPECT_EQ(outlook.last_segment, segment(2, 9));
  EXPECT_EQ(outlook.segments, 5u);
  EXPECT_EQ(branched.judge(RecoveryType::lsn, "0/7000000").last_segment, segment(1, 7));
  EXPECT_EQ(branched.judge(RecoveryType::time, "2024-01-01 00:00:15+00").last_segment,
            segment(2, 8));
  // The old timeline went on further than the new one.
  EXPECT_TRUE(branched.judge(RecoveryType::lsn, "0/A000000").problem);
}

}  // namespace
}  // namespace pgrevive::cluster
