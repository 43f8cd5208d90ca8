#include "cluster/recovery_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;
using restore::RecoveryType;
using Kind = RecoveryVerdict::Kind;
using Outcome = ArchiveReport::Outcome;

constexpr std::uint32_t kSize = 16u << 20;

WalSegment segment(std::uint64_t number, std::uint32_t timeline = 1) {
  return {Timeline(timeline), number, kSize};
}

ArchiveReport asked(const WalSegment& wanted, Outcome outcome) {
  ArchiveReport report;
  report.name = wanted.name();
  report.outcome = outcome;
  return report;
}

RecoveryGoal latest() { return {.target = {}, .from_archive = true, .backup_stop = segment(3)}; }

// Everything delivered up to segment 5 was replayed, and 6 was proven absent.
RecoveryView at_the_end() {
  RecoveryView view;
  view.accepting = true;
  view.replayed = Lsn(segment(5).begin().value() + 4711);
  view.settled = true;
  view.report = asked(segment(6), Outcome::absent);
  view.newest = segment(5);
  return view;
}

TEST(RecoveryEnd, IsProvenByTheAbsenceOfTheSegmentAfterTheNewest) {
  EXPECT_EQ(judge_recovery(latest(), at_the_end()).kind, Kind::ended);
}

// The server reads it to where its bytes end, and asks for it again.
TEST(RecoveryEnd, IsInASegmentOfWhichThereIsOnlyABeginning) {
  auto view = at_the_end();
  view.newest = segment(6);
  view.newest_is_unfinished = true;
  view.report = asked(segment(6), Outcome::delivered);
  view.replayed = Lsn(segment(6).begin().value() + 4711);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
  view.asked_since_settled = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on) << "it may be on its way";
  view.newest_was_read = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::ended);
  // A record that begins before it may have its end nowhere.
  view.replayed = Lsn(segment(6).begin().value() - 4711);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::ended);
  view.newest_is_unfinished = false;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

// Where the line has no more, another one may have; at a target nobody looks for that.
TEST(RecoveryEnd, IsTheLinesWhereItIsNotTheTargets) {
  EXPECT_TRUE(judge_recovery(latest(), at_the_end()).exhausted);

  auto goal = latest();
  goal.target.type = RecoveryType::xid;
  goal.target.target = "4711";
  const auto missed = judge_recovery(goal, at_the_end());
  EXPECT_EQ(missed.kind, Kind::failed);
  EXPECT_TRUE(missed.exhausted);

  auto view = at_the_end();
  view.paused = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
  EXPECT_FALSE(judge_recovery(goal, view).exhausted);
}

TEST(RecoveryEnd, IsNotProvenWhileWalIsStillDelivered) {
  auto view = at_the_end();
  view.report = asked(segment(5), Outcome::delivered);

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, IsNotProvenBeforeAnythingWasAsked) {
  auto view = at_the_end();
  view.report.reset();

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, IsNotProvenByTheAbsenceOfAHistoryFile) {
  auto view = at_the_end();
  view.report->name = "00000002.history";

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

// A source that lives archives on: what was absent a moment ago is there by now.
TEST(RecoveryEnd, IsNotProvenWhenTheArchiveHasGrownMeanwhile) {
  auto view = at_the_end();
  view.newest = segment(6);

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, IsNotProvenWhileReplayMovesOrHasNotReachedTheNewestSegment) {
  auto view = at_the_end();
  view.settled = false;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);

  view = at_the_end();
  view.replayed = Lsn(segment(5).begin().value() - 1);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, IsProvenWhenTheServerGoesOnAskingForTheRestOfALongRecord) {
  auto view = at_the_end();
  view.replayed = Lsn(segment(3).begin().value() + 4711);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);

  view.asked_since_settled = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::ended);

  auto goal = latest();
  goal.target.type = RecoveryType::xid;
  goal.target.target = "4711";
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::failed);

  view.report = asked(segment(6), Outcome::delivered);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
  view.report = asked(segment(5), Outcome::absent);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

// Nothing follows it that would leave a gap.
TEST(RecoveryEnd, IsNoneWhereTheArchiveReachedFurtherOnce) {
  auto view = at_the_end();
  view.lost = segment(7).name();
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on) << "the list may have been short";
  view.chasing = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);

  view.asked_since_settled = true;
  const auto verdict = judge_recovery(latest(), view);
  ASSERT_EQ(verdict.kind, Kind::failed);
  EXPECT_TRUE(verdict.exhausted);
  EXPECT_EQ(verdict.error->kind(), ErrorKind::not_found);
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr(segment(7).name()));

  auto goal = latest();
  goal.target = {.type = RecoveryType::name, .target = "before"};
  const auto missed = judge_recovery(goal, view);
  ASSERT_EQ(missed.kind, Kind::failed);
  EXPECT_THAT(missed.error->what(), testing::HasSubstr("name before was not reached"));
  EXPECT_THAT(missed.error->what(), testing::HasSubstr(segment(7).name()));
  view.paused = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
}

TEST(RecoveryEnd, IsReachedWhenAnAbandonedTimelineGoesOnInTheArchive) {
  auto view = at_the_end();
  view.newest = segment(5, 2);
  view.report = asked(segment(6, 1), Outcome::delivered);

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::ended);
}

TEST(RecoveryEnd, OfAChasedSourceIsAnyProvenAbsence) {
  auto view = at_the_end();
  view.settled = false;
  view.newest = segment(9);
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);

  view.chasing = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::ended);

  view.report->outcome = Outcome::delivered;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, FailsWhenAFileCouldNotBeFetched) {
  auto view = at_the_end();
  view.report->outcome = Outcome::error;
  view.report->error = "connection refused";

  const auto verdict = judge_recovery(latest(), view);

  ASSERT_EQ(verdict.kind, Kind::failed);
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr("connection refused"));
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr(segment(6).name()));
}

TEST(RecoveryEnd, FailsOnAFetchErrorEvenAfterTheServerWentDown) {
  auto view = at_the_end();
  view.running = false;
  view.accepting = false;
  view.report->outcome = Outcome::error;

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::failed);
}

TEST(RecoveryEnd, FailsWhenTheArchiveEndsBeforeTheBackupIsConsistent) {
  RecoveryView view;
  view.report = asked(segment(3), Outcome::absent);
  view.newest = segment(2);

  const auto verdict = judge_recovery(latest(), view);

  ASSERT_EQ(verdict.kind, Kind::failed);
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr(segment(3).name()));
}

TEST(RecoveryEnd, WaitsForAServerThatIsNotConsistentYetWithAllWalDelivered) {
  RecoveryView view;
  view.report = asked(segment(4), Outcome::absent);
  view.newest = segment(3);

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

TEST(RecoveryEnd, IsAtTheTargetWhenTheServerPausedThere) {
  auto goal = latest();
  goal.target = {.type = RecoveryType::name, .target = "before"};
  auto view = at_the_end();
  view.report = asked(segment(4), Outcome::delivered);
  view.paused = true;

  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
}

TEST(RecoveryEnd, IsNotTheTargetWhereTheServerPausedPastIt) {
  auto goal = latest();
  goal.target = {.type = RecoveryType::time, .target = "2026-11-22 14:05:00+00"};
  auto view = at_the_end();
  view.paused = true;
  view.last_commit_time = "2026-11-22 14:05:00.000000+00";
  EXPECT_FALSE(overran(goal, view));
  view.last_commit_time = "2026-11-22 14:05:00.000001+00";
  ASSERT_TRUE(overran(goal, view));
  EXPECT_THAT(overran(goal, view)->text(), testing::HasSubstr("past its target time 2026"));
  view.paused = false;
  EXPECT_FALSE(overran(goal, view));

  goal.target = {.type = RecoveryType::immediate};
  view.paused = true;
  EXPECT_TRUE(overran(goal, view));
  view.replayed = goal.backup_stop->next().end();
  EXPECT_FALSE(overran(goal, view));
}

TEST(RecoveryEnd, FailsWhenTheArchiveEndsBeforeTheTarget) {
  auto goal = latest();
  goal.target = {.type = RecoveryType::time, .target = "2026-11-22 14:05:00+00"};
  auto view = at_the_end();
  view.last_commit_time = "2026-11-22 13:00:00+00";

  const auto verdict = judge_recovery(goal, view);

  ASSERT_EQ(verdict.kind, Kind::failed);
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr("2026-11-22 14:05:00+00"));
  EXPECT_THAT(verdict.error->what(), testing::HasSubstr("2026-11-22 13:00:00+00"));
}

TEST(RecoveryEnd, RaisesParametersWhenReplayPausedOrStoppedForThem) {
  auto view = at_the_end();
  view.parameters_too_low = true;
  view.paused = true;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::raise_parameters);

  view.paused = false;
  view.running = false;
  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::raise_parameters);
}

TEST(RecoveryEnd, OfAnOfflineBackupIsWhenTheServerHasSettled) {
  RecoveryGoal goal;
  goal.from_archive = false;
  RecoveryView view;
  view.accepting = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::going_on);

  view.settled = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
}

TEST(RecoveryEnd, OfAnOfflineBackupIsNoTargetUnlessTheServerPausedThere) {
  RecoveryGoal goal;
  goal.from_archive = false;
  goal.target = {.type = RecoveryType::time, .target = "2026-11-22 14:00:00+00"};
  RecoveryView view;
  view.accepting = true;
  view.settled = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::failed);

  view.paused = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
}

TEST(RecoveryEnd, OfAnOfflineBackupIsTheTargetImmediate) {
  RecoveryGoal goal;
  goal.from_archive = false;
  goal.target = {.type = RecoveryType::immediate, .target = ""};
  RecoveryView view;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::going_on);

  view.accepting = true;
  view.settled = true;
  EXPECT_EQ(judge_recovery(goal, view).kind, Kind::ended);
}

TEST(RecoveryEnd, IsNoneWhereASegmentOfTheForkCameFromTheOlderTimeline) {
  const postgres::TimelineHistory line{
      .timeline = Timeline(2),
      .ancestors = {{Timeline(1), Lsn(segment(5).begin().value() + 100), "promoted"}}};
  auto view = at_the_end();
  view.report->last_delivered = segment(5).name();
  const auto error = strayed(line, view);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::not_found);
  EXPECT_THAT(error->what(), testing::HasSubstr(segment(5).name()));

  view.replayed = line.ancestors.front().ended;
  EXPECT_FALSE(strayed(line, view));
  view = at_the_end();
  view.report->last_delivered = segment(5, 2).name();
  EXPECT_FALSE(strayed(line, view));
  view.report->last_delivered = "00000002.history";
  EXPECT_FALSE(strayed(line, view));
  view.report.reset();
  EXPECT_FALSE(strayed(line, view));
}

TEST(Difference, IsCountedInSegmentsAndBeforeATargetOfTime) {
  RecoveryEnd end{.last_commit_time = "2026-11-22 14:05:09.250000+00",
                  .newest_archived_wal = segment(9).name(),
                  .last_replayed_wal = segment(5).name()};
  note_difference(end, {.type = RecoveryType::time, .target = "2026-11-22 11:05:10-03"},
                  segment(5).segment_size());
  EXPECT_EQ(end.wal_left, 4u);
  EXPECT_EQ(end.before_target_us, 750'000);

  // A promotion wrote into the segment behind the newest; a position is no time.
  end.last_replayed_wal = segment(10).name();
  note_difference(end, {.type = RecoveryType::lsn, .target = "0/5000000"},
                  segment(5).segment_size());
  EXPECT_EQ(end.wal_left, 0u);
  EXPECT_FALSE(end.before_target_us);
}

TEST(RecoveryEnd, NeverComesWhileTheServerIsDown) {
  auto view = at_the_end();
  view.running = false;

  EXPECT_EQ(judge_recovery(latest(), view).kind, Kind::going_on);
}

}  // namespace
}  // namespace pgrevive::cluster
