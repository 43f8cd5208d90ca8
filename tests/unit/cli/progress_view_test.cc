#include "cli/progress_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;
using cluster::Phase;
using cluster::SupervisorStatus;

constexpr std::uint64_t kMega = 1'000'000;

SupervisorStatus restoring(std::uint64_t done, std::uint64_t files) {
  SupervisorStatus status;
  status.phase = Phase::restoring;
  status.phases = {{Phase::preparing, 1000, 1500}, {Phase::restoring, 1500, 0}};
  status.restore = {
      .files_total = 1000, .files_done = files, .bytes_total = 1000 * kMega, .bytes_done = done};
  return status;
}

TEST(ProgressLine, ShowsTheBarOnlyWhereThereIsRoom) {
  const cluster::Rates rates{.bytes_per_second = 250.0 * kMega, .left_ms = 2000};
  const restore::Progress progress{.files_total = 300,
                                   .files_done = 120,
                                   .bytes_total = 1000 * kMega,
                                   .bytes_done = 500 * kMega};

  EXPECT_EQ(progress_line(progress, rates, 120),
            "[##########----------]  50 %  500 MB of 1 GB  120/300 files  250 MB/s  2.0 s left");
  EXPECT_EQ(progress_line(progress, rates, 60),
            " 50 %  500 MB of 1 GB  120/300 files  250 MB/s  2.0 s left");
  EXPECT_EQ(progress_line(progress, rates, 0),
            "50 %  500 MB of 1 GB  120/300 files  250 MB/s  2.0 s left");
}

TEST(ProgressLine, HasNoShareOfNothing) {
  EXPECT_EQ(progress_line({}, {}, 0), "reading the manifest");
  EXPECT_EQ(progress_line({.files_total = 3, .files_done = 1}, {}, 0),
            "100 %  0 B of 0 B  1/3 files");
}

// What a log file of `start` holds: no control characters, one line for each change and one every
// five seconds.
TEST(ProgressView, WritesPlainLinesWhereNobodyLooks) {
  ProgressView view(ProgressView::Output::plain, 80);
  SupervisorStatus status;
  status.phase = Phase::preparing;
  status.phases = {{Phase::preparing, 1000, 0}};

  EXPECT_EQ(view.update(status, 1000ms), "  preparing ...\n");
  EXPECT_EQ(view.update(status, 1200ms), "");
  EXPECT_EQ(view.update(restoring(0, 0), 1500ms),
            "  preparing         0.5 s\n  restoring: 0 %  0 B of 1 GB  0/1000 files\n");
  EXPECT_EQ(view.update(restoring(100 * kMega, 90), 2500ms), "");
  EXPECT_EQ(view.update(restoring(500 * kMega, 480), 6500ms),
            "  restoring: 50 %  500 MB of 1 GB  480/1000 files  100 MB/s  5.0 s left\n");

  status = restoring(1000 * kMega, 1000);
  status.phase = Phase::recovering;
  status.phases.back().ended_ms = 11'500;
  status.phases.push_back({Phase::recovering, 11'500, 0});
  status.wal_segments_total = 12;
  status.wal_segments_done = 3;
  status.replay_lsn = "0/5000028";
  status.notices = {{.text = "a file had page checksum errors when it was backed up"}};
  EXPECT_EQ(view.update(status, 11'600ms),
            "  warning: a file had page checksum errors when it was backed up\n"
            "  restoring         10.0 s, 1 GB in 1000 files, 100 MB/s\n"
            "  recovering: 3 of 12 WAL segments, replayed to 0/5000028\n");
  status.wal_segments_done = 6;
  EXPECT_EQ(view.update(status, 16'600ms),
            "  recovering: 6 of 12 WAL segments, replayed to 0/5000028, 10.0 s left\n");

  status.phase = Phase::running;
  status.phases.back().ended_ms = 17'500;
  status.phases.push_back({Phase::running, 17'500, 0});
  EXPECT_EQ(view.update(status, 17'600ms), "  recovering        6.0 s\n");
  EXPECT_EQ(view.update(status, 17'700ms), "");
  EXPECT_EQ(view.close(), "");
}

TEST(ProgressView, SaysThatAPhaseWithoutNumbersGoesOn) {
  ProgressView view(ProgressView::Output::plain, 80);
  SupervisorStatus status;
  status.phase = Phase::joining;
  status.phases = {{Phase::joining, 1000, 0}};

  EXPECT_EQ(view.update(status, 1000ms), "  joining replicas ...\n");
  EXPECT_EQ(view.update(status, 6000ms), "  still joining replicas\n");
}

TEST(ProgressView, CountsIndexes) {
  ProgressView view(ProgressView::Output::plain, 80);
  SupervisorStatus status;
  status.phase = Phase::reindexing;
  status.phases = {{Phase::reindexing, 1000, 0}};
  status.reindex = cluster::ReindexProgress{
      .indexes_total = 12, .indexes_done = 3, .now = "public.i in d", .failures = {}};

  EXPECT_EQ(view.update(status, 1000ms), "  reindexing: 3 of 12 indexes, now public.i in d\n");
}

TEST(ProgressView, RedrawsOneLineOnATerminalAndNeverWrapsIt) {
  ProgressView view(ProgressView::Output::terminal, 50);

  const std::string first = view.update(restoring(0, 0), 1500ms);
  const std::string second = view.update(restoring(500 * kMega, 480), 6500ms);

  EXPECT_EQ(first, "  preparing         0.5 s\n  restoring     0 %  0 B of 1 GB  0/1000 files");
  EXPECT_EQ(second, "\r\x1b[K  restoring    50 %  500 MB of 1 GB  480/1000 fil");
  EXPECT_EQ(view.update(restoring(500 * kMega, 480), 6500ms), "");
  EXPECT_EQ(view.close(), "\r\x1b[K");
  EXPECT_EQ(view.close(), "");
}

TEST(ProgressView, PutsAWarningAboveTheLineBeingRedrawn) {
  ProgressView view(ProgressView::Output::terminal, 80);
  view.update(restoring(0, 0), 1500ms);
  SupervisorStatus status = restoring(0, 0);
  status.notices = {{.text = "careful"}};

  EXPECT_THAT(view.update(status, 1600ms),
              testing::StartsWith("\r\x1b[K  warning: careful\n  restoring "));
}

}  // namespace
}  // namespace pgrevive::cli
