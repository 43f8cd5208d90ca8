#include "cluster/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cluster/archive_report.h"
#include "cluster/cluster.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

SupervisorStatus full() {
  SupervisorStatus status;
  status.cluster_name = "demo";
  status.pid = 4711;
  status.phase = Phase::joining;
  status.phases = {{Phase::preparing, 1000, 2000}, {Phase::joining, 2000, 0}};
  status.restore = {.files_total = 1,
                    .files_done = 2,
                    .bytes_total = 3,
                    .bytes_done = 4,
                    .bytes_kept = 5,
                    .fetched_total = 6,
                    .fetched = 7,
                    .requests = 8};
  status.backup_label = "20240115-020000F";
  status.wal_segments_total = 9;
  status.wal_segments_done = 10;
  status.replay_lsn = "0/5000060";
  status.recovery_end = RecoveryEnd{.target = "latest",
                                    .timeline = 1,
                                    .lsn = "0/5000060",
                                    .last_commit_time = "2026-11-22 14:05:09+00",
                                    .newest_archived_wal = "000000010000000000000004",
                                    .last_replayed_wal = "000000010000000000000004",
                                    .wal_left = 3,
                                    .before_target_us = 1'500'000,
                                    .new_timeline = 2,
                                    .fork_lsn = "0/5000060"};
  status.reindex = ReindexProgress{
      .indexes_total = 4, .indexes_done = 3, .now = "public.i in d", .failures = {"f"}};
  status.error = "went wrong\n  while testing";
  status.exit_code = 27;
  status.notices = {{.id = "made", .text = "made in /b", .values = {{"place", "/b"}}},
                    {.text = "of an older version"}};
  status.dropped_settings = {"port: ours"};
  status.changed_settings = {"max_connections: 100 -> 420, demanded by the WAL"};
  status.restarts = 3;
  return status;
}

TEST(StatusJson, KeepsEveryField) {
  const auto text = to_json(full());

  EXPECT_EQ(to_json(status_from_json(text)), text);
  const auto back = status_from_json(text);
  EXPECT_EQ(back.phases.size(), 2u);
  EXPECT_EQ(back.restore.requests, 8u);
  ASSERT_TRUE(back.recovery_end);
  EXPECT_EQ(back.recovery_end->fork_lsn, "0/5000060");
}

TEST(StatusJson, KeepsAnUnknownRecoveryEndUnknown) {
  EXPECT_FALSE(status_from_json(to_json(SupervisorStatus{})).recovery_end);
}

TEST(StatusJson, HasTheTextsOfWarningsAlone) {
  const auto j = nlohmann::json::parse(to_json(full()));
  EXPECT_EQ(j.at("warnings"), nlohmann::json({"made in /b", "of an older version"}));
  EXPECT_EQ(status_from_json(j.dump()).notices, full().notices);
}

TEST(StatusJson, OfAnOlderVersionHasOnlyThose) {
  auto j = nlohmann::json::parse(to_json(full()));
  j.erase("notices");
  EXPECT_EQ(status_from_json(j.dump()).notices,
            (std::vector<Notice>{{.text = "made in /b"}, {.text = "of an older version"}}));
}

TEST(StatusJson, WritesWhatIsNotUtf8WithoutFailing) {
  SupervisorStatus status;
  status.error = "cannot open \xff";

  EXPECT_THAT(status_from_json(to_json(status)).error, testing::StartsWith("cannot open "));
}

TEST(StatusJson, RefusesWhatIsNotWhole) { EXPECT_THROW(status_from_json("{}"), Error); }

// Files that are written often and never synced: what the power leaves of them says nothing.
TEST(StatusFile, WithoutAllItsBytesIsNone) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.run());
  for (const std::string text : {"", "{\"cluster_name\": \"tri"}) {
    write_file_atomic(state.status(), text);
    EXPECT_FALSE(read_status(state));
    write_file_atomic(state.wal_report("primary"), text);
    EXPECT_FALSE(load_archive_report(state.wal_report("primary")));
  }
}

TEST(Phase, HasANameThatLeadsBackToIt) {
  for (const auto phase : {Phase::preparing, Phase::restoring, Phase::recovering, Phase::promoting,
                           Phase::configuring, Phase::joining, Phase::reindexing, Phase::running,
                           Phase::stopping, Phase::stopped, Phase::failed})
    EXPECT_EQ(parse_phase(name(phase)), phase);
  EXPECT_FALSE(parse_phase("sleeping"));
}

}  // namespace
}  // namespace pgrevive::cluster
