#include "cluster/restore_history.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

SupervisorStatus restored(std::int64_t began) {
  SupervisorStatus status;
  status.backup_label = "20261122-020000F";
  status.phases = {{Phase::preparing, began, began + 10},
                   {Phase::restoring, began + 10, began + 30},
                   {Phase::recovering, began + 30, 0}};
  status.restore = {.files_total = 5, .bytes_total = 100, .fetched = 60};
  status.restore_retries = 2;
  return status;
}

TEST(PastRestore, IsFromTheFirstPhaseToTheRunningCluster) {
  auto status = restored(1000);
  EXPECT_EQ(past_restore(status, "failed", "why", 1500)->ended_ms(), 1500);

  status.phases.back().ended_ms = 1400;
  status.phases.push_back({Phase::running, 1400, 0});
  const auto restore = past_restore(status, "done", "", 9999);

  EXPECT_EQ(restore->phases.size(), 3u);
  EXPECT_EQ(restore->began_ms(), 1000);
  EXPECT_EQ(restore->ended_ms(), 1400);
  EXPECT_EQ(restore->progress.fetched, 60u);
  EXPECT_EQ(restore->retries, 2);
}

TEST(PastRestore, OfAReplicaThatIsMadeAgainIsOneOfItsOwn) {
  auto status = restored(1000);
  status.phases.back().ended_ms = 1400;
  status.phases.push_back({Phase::running, 1400, 5000});
  status.phases.push_back({Phase::joining, 5000, 5010});
  status.request = RequestReport{.id = "7", .state = "working", .began_ms = 4990};
  // A switchover, say, restores nothing.
  EXPECT_FALSE(past_restore(status, "done", "", 9999));

  status.phases.push_back({Phase::restoring, 5010, 5100});
  status.phases.push_back({Phase::joining, 5100, 0});
  const auto again = past_restore(status, "done", "", 5200);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->began_ms(), 5000);
  EXPECT_EQ(again->ended_ms(), 5200);
}

TEST(PastRestore, IsNoneWhereNothingWasRestored) {
  SupervisorStatus status;
  status.phases = {{Phase::preparing, 1000, 1010}, {Phase::running, 1010, 0}};
  EXPECT_FALSE(past_restore(status, "done", "", 2000));
}

TEST(RestoreHistory, KeepsTheLastTwentyTheNewestFirst) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(directory.path() / "logs");
  EXPECT_TRUE(load_restores(state).empty());

  for (std::int64_t i = 1; i <= 25; ++i) {
    auto restore = *past_restore(restored(i * 1000), "failed", "why", i * 1000 + 500);
    restore.exit_code = 22;
    note_restore(state, restore);
  }
  // The last one went on, and came to its end.
  note_restore(state, *past_restore(restored(25'000), "done", "", 26'000));

  const auto restores = load_restores(state);
  ASSERT_EQ(restores.size(), 20u);
  EXPECT_EQ(restores[0].outcome, "done");
  EXPECT_EQ(restores[0].ended_ms(), 26'000);
  EXPECT_EQ(restores[0].backup_label, "20261122-020000F");
  EXPECT_EQ(restores[1].outcome, "failed");
  EXPECT_EQ(restores[1].error, "why");
  EXPECT_EQ(restores[1].exit_code, 22);
  EXPECT_EQ(restores[1].began_ms(), 24'000);
}

TEST(RestoreHistory, ThatCannotBeReadIsNone) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(directory.path() / "logs");
  write_file_atomic(state.restores(), "[{\"outcome\": 3}]");
  EXPECT_TRUE(load_restores(state).empty());
}

}  // namespace
}  // namespace pgrevive::cluster
