#include "console/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "console/console.h"

namespace pgrevive::console {
namespace {

using testing::HasSubstr;
using testing::Not;

View running() {
  View view;
  view.time_ms = 1'795'356'309'500;
  auto& status = view.status;
  status.cluster_name = "a \"b\"\\";
  status.supervisor_running = true;
  status.supervisor.phase = cluster::Phase::running;
  status.nodes = {{.name = "primary",
                   .role = "primary",
                   .state = "accepting",
                   .timeline = 2,
                   .lsn = "16/B374D848",
                   .disk_free_bytes = 9'007'199'254'740'991,
                   .connections = 3},
                  {.name = "replica",
                   .role = "replica",
                   .state = "accepting",
                   .replication = "streaming",
                   .lag_bytes = 42,
                   .lag_seconds = 0.25}};
  status.archiver = {.archived = 7, .failed = 1, .last_archived_seconds_ago = 9.5};
  status.restores = {
      {.outcome = "failed",
       .phases = {{cluster::Phase::preparing, 1'795'356'300'000, 1'795'356'301'500},
                  {cluster::Phase::restoring, 1'795'356'301'500, 1'795'356'302'500}}}};
  return view;
}

TEST(Metrics, AreSamplesOfOneNameTogetherBelowTheirHelp) {
  const auto text = metrics_text(running(), {});

  const std::string label = "cluster=\"a \\\"b\\\"\\\\\"";
  EXPECT_THAT(text, HasSubstr("# TYPE pgrevive_node_up gauge\npgrevive_node_up{" + label +
                              ",node=\"primary\"} 1\npgrevive_node_up{" + label +
                              ",node=\"replica\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE pgrevive_archive_segments_total counter\n"));
}

TEST(Metrics, AreExactAndInBaseUnits) {
  const auto text = metrics_text(running(), {});

  EXPECT_THAT(text, HasSubstr("pgrevive_node_wal_position_bytes{cluster=\"a \\\"b\\\"\\\\\","
                              "node=\"primary\"} 97500059720\n"));
  EXPECT_THAT(text, HasSubstr("node=\"primary\"} 9007199254740991\n"));
  EXPECT_THAT(text, HasSubstr("node=\"replica\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("pgrevive_archive_last_success_timestamp_seconds{cluster=\"a "
                              "\\\"b\\\"\\\\\"} 1795356300\n"));
  EXPECT_THAT(text, HasSubstr("pgrevive_last_restore_success{cluster=\"a \\\"b\\\"\\\\\"} 0\n"));
  EXPECT_THAT(
      text, HasSubstr("pgrevive_last_restore_duration_seconds{cluster=\"a \\\"b\\\"\\\\\"} 2.5\n"));
}

TEST(Metrics, LeaveOutWhatIsNotKnown) {
  auto view = running();
  view.status.nodes[1].lag_seconds.reset();
  view.status.archiver.reset();
  view.status.restores.clear();

  const auto text = metrics_text(view, {});

  EXPECT_THAT(text, Not(HasSubstr("replica_lag_seconds")));
  EXPECT_THAT(text, Not(HasSubstr("archive_segments_total")));
  EXPECT_THAT(text, Not(HasSubstr("last_restore")));
  EXPECT_THAT(text, Not(HasSubstr("repository_up")));
}

repository::ReportedBackup backup(const char* label, std::int64_t stopped, std::int64_t reaches,
                                  const std::string& missing = {}) {
  repository::Backup made{.label = repository::BackupLabel::parse(label),
                          .timestamp_stop = stopped};
  repository::RecoveryPoints points{.from = stopped, .missing = missing};
  points.lines.push_back({.reaches_time = reaches});
  return {.backup = made, .recovery = points};
}

TEST(RecoverableWindow, IsFromTheFirstBackupThatIsOfUse) {
  RepositoryView view;
  EXPECT_FALSE(recoverable_window(view));
  view.stanza.emplace();
  view.stanza->databases.push_back({.current = true});
  auto& backups = view.stanza->databases[0].backups;
  backups.push_back(backup("20261122-010000F", 100, 900, "000000010000000000000002"));
  EXPECT_FALSE(recoverable_window(view));
  backups.push_back(backup("20261122-020000F", 200, 350));
  backups.push_back(backup("20261122-030000F", 300, 300));

  EXPECT_EQ(recoverable_window(view)->from, 200);
  EXPECT_EQ(recoverable_window(view)->to, 350);
  EXPECT_EQ(newest_backup(view), 300);
}

TEST(OpenApi, IsJsonThatNamesWhatItRefersTo) {
  const auto api = nlohmann::json::parse(openapi_text());

  EXPECT_EQ(api["openapi"], "3.0.3");
  const auto flat = api.flatten();
  for (const auto& [path, value] : flat.items()) {
    if (!path.ends_with("/$ref")) continue;
    const auto to = value.get<std::string>();
    EXPECT_TRUE(api.contains(nlohmann::json::json_pointer(to.substr(1)))) << to;
  }
}

}  // namespace
}  // namespace pgrevive::console
