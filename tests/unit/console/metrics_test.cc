#include "console/metrics.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
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
  EXPECT_THAT(text, HasSubstr("# HELP pgrevive_archive_segments_total WAL segments archived since "
                              "the statistics were reset.\n# TYPE pgrevive_archive_segments_total "
                              "counter\npgrevive_archive_segments_total{"));
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
  view.status.supervisor_running = false;
  view.status.nodes[1].lag_seconds.reset();
  view.status.archiver.reset();
  view.status.restores.clear();

  const auto text = metrics_text(view, {});

  EXPECT_THAT(text, HasSubstr("pgrevive_supervisor_up{cluster=\"a \\\"b\\\"\\\\\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("replica_lag_seconds")));
  EXPECT_THAT(text, Not(HasSubstr("archive_segments_total")));
  EXPECT_THAT(text, HasSubstr("\npgrevive_archive_healthy"));  // it is off
  EXPECT_THAT(text, Not(HasSubstr("last_restore")));
  EXPECT_THAT(text, Not(HasSubstr("repository_up")));
}

TEST(Metrics, TellNothingOfTheArchiveWhileThePrimaryIsDown) {
  auto view = running();
  view.status.archive = "/x/archive";
  EXPECT_THAT(metrics_text(view, {}), HasSubstr("\npgrevive_archive_healthy"));
  view.status.nodes[0] = {.name = "primary", .state = "down"};
  view.status.archiver.reset();
  EXPECT_THAT(metrics_text(view, {}), Not(HasSubstr("archive_healthy")));
  // It answered, and something is wrong.
  view.status.archiving_ok = false;
  EXPECT_THAT(metrics_text(view, {}), HasSubstr("\npgrevive_archive_healthy"));
}

repository::ReportedBackup backup(const char* label, std::int64_t stopped, std::int64_t reaches,
                                  const std::string& missing = {}) {
  repository::Backup made{.label = repository::BackupLabel::parse(label),
                          .timestamp_stop = stopped};
  repository::RecoveryPoints points{.from = stopped, .missing = missing};
  points.lines.push_back({.reaches_time = reaches});
  return {.backup = made, .recovery = points};
}

// Without what says what they are, and the label that all have.
std::string samples_of(const std::string& text) {
  std::string samples;
  for (auto& line : split(text, '\n')) {
    if (line.empty() || line.starts_with("#")) continue;
    const std::string cluster = "{cluster=\"c\"";
    const auto at = line.find(cluster);
    if (at == std::string::npos || !line.starts_with("pgrevive_")) return "not ours: " + line;
    line.replace(at, cluster.size() + (line[at + cluster.size()] == ',' ? 1 : 0), "{");
    samples += line.substr(9) + '\n';
  }
  return samples;
}

TEST(Metrics, TellAllOfACluster) {
  auto view = running();
  auto& status = view.status;
  status.cluster_name = "c";
  status.archiving = "own";
  status.archiving_ok = false;
  status.adminer_answers = true;
  status.supervisor.restarts = 3;
  status.nodes[0].data_bytes = 5;
  status.nodes[0].disk_total_bytes = 9'007'199'254'740'992;
  status.nodes[0].max_connections = 100;
  status.nodes[0].started_ms = 1'795'356'000'500;
  status.nodes[1].state = "starting";
  status.nodes.push_back({.name = "replica-2",
                          .role = "replica",
                          .state = "accepting",
                          .timeline = 2,
                          .lsn = "0/10",
                          .replication = "catchup",
                          .lag_bytes = 1ULL << 31,
                          .lag_seconds = 0.5});
  status.supervisor.restore = {.files_total = 20,
                               .files_done = 10,
                               .bytes_total = 4000,
                               .bytes_done = 3000,
                               .fetched = 1500,
                               .requests = 7};
  status.supervisor.restore_retries = 5;
  status.supervisor.restore_throttled = 4;
  status.supervisor.wal_segments_total = 9;
  status.supervisor.wal_segments_done = 8;
  status.restores[0].progress.bytes_total = 77;

  RepositoryView repository;
  repository.read_ms = 1'795'356'308'500;
  EXPECT_THAT(metrics_text(view, repository), Not(HasSubstr("repository_")));  // there is no source
  repository.place = "s3://bucket/path";
  repository.stanza.emplace();
  repository.stanza->databases.push_back({.current = true});
  repository.stanza->databases[0].backups = {backup("20261122-020000F", 200, 350),
                                             backup("20261122-030000F", 300, 340)};

  EXPECT_EQ(samples_of(metrics_text(view, repository)),
            R"(last_look_timestamp_seconds{} 1795356309.5
healthy{} 0
problems{severity="grave"} 3
problems{severity="minor"} 1
supervisor_up{} 1
phase{phase="preparing"} 0
phase{phase="restoring"} 0
phase{phase="recovering"} 0
phase{phase="promoting"} 0
phase{phase="configuring"} 0
phase{phase="joining"} 0
phase{phase="reindexing"} 0
phase{phase="running"} 1
phase{phase="stopping"} 0
phase{phase="stopped"} 0
phase{phase="failed"} 0
server_restarts_total{} 3
node_up{node="primary"} 1
node_up{node="replica"} 0
node_up{node="replica-2"} 1
node_disk_free_bytes{node="primary"} 9007199254740991
node_disk_free_bytes{node="replica"} 0
node_disk_free_bytes{node="replica-2"} 0
node_disk_size_bytes{node="primary"} 9007199254740992
node_disk_size_bytes{node="replica"} 0
node_disk_size_bytes{node="replica-2"} 0
node_data_bytes{node="primary"} 5
node_primary{node="primary"} 1
node_primary{node="replica-2"} 0
node_timeline{node="primary"} 2
node_timeline{node="replica-2"} 2
node_wal_position_bytes{node="primary"} 97500059720
node_wal_position_bytes{node="replica-2"} 16
node_start_time_seconds{node="primary"} 1795356000.5
node_connections{node="primary"} 3
node_connections_max{node="primary"} 100
replica_streaming{node="replica-2"} 0
replica_lag_bytes{node="replica-2"} 2147483648
replica_lag_seconds{node="replica-2"} 0.5
archive_healthy{} 0
archive_segments_total{} 7
archive_failures_total{} 1
archive_last_success_timestamp_seconds{} 1795356300
restore_size_bytes{} 4000
restore_done_bytes{} 3000
restore_files{} 20
restore_done_files{} 10
restore_fetched_bytes{} 1500
restore_requests{} 7
restore_retries{} 5
restore_throttled_requests{} 4
recovery_segments{} 9
recovery_done_segments{} 8
last_restore_success{} 0
last_restore_timestamp_seconds{} 1795356302.5
last_restore_duration_seconds{} 2.5
last_restore_size_bytes{} 77
repository_up{} 1
repository_read_timestamp_seconds{} 1795356308.5
last_backup_timestamp_seconds{} 300
recoverable_from_timestamp_seconds{} 200
recoverable_to_timestamp_seconds{} 350
)");

  repository.error = "no such host";
  EXPECT_THAT(metrics_text(view, repository),
              HasSubstr("\npgrevive_repository_up{cluster=\"c\"} 0\n"));
  status.restores.insert(status.restores.begin(), {.outcome = "done"});
  EXPECT_THAT(metrics_text(view, {}),
              HasSubstr("\npgrevive_last_restore_success{cluster=\"c\"} 1\n"));
}

TEST(Metrics, HaveNoLineThatEndsInALabel) {
  auto view = running();
  view.status.cluster_name = "two\nlines";
  EXPECT_THAT(metrics_text(view, {}), HasSubstr("{cluster=\"two\\nlines\"}"));
}

TEST(RecoverableWindows, AreOfTheBackupsThatAreOfUseAndHaveNoHoles) {
  RepositoryView view;
  const auto windows = [&] {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (const auto& window : recoverable_windows(view)) found.emplace_back(window.from, window.to);
    return found;
  };
  using Windows = std::vector<std::pair<std::int64_t, std::int64_t>>;
  EXPECT_EQ(windows(), Windows());
  view.stanza.emplace();
  view.stanza->databases.push_back({.current = true});
  auto& backups = view.stanza->databases[0].backups;
  backups.push_back(backup("20261122-010000F", 100, 900, "000000010000000000000002"));
  EXPECT_EQ(windows(), Windows());
  backups.push_back(backup("20261122-020000F", 200, 350));
  backups.push_back(backup("20261122-030000F", 300, 300));
  backups.push_back(backup("20261122-040000F", 190, 360));
  // Of a cluster that was here before: nothing of it can be restored any more.
  view.stanza->databases.insert(view.stanza->databases.begin(), {.current = false});
  view.stanza->databases[0].backups.push_back(backup("20261121-020000F", 50, 90));

  EXPECT_EQ(windows(), (Windows{{190, 360}}));
  EXPECT_EQ(newest_backup(view), 300);
  auto& newer = view.stanza->databases[1].backups;
  newer.push_back(backup("20261122-050000F", 400, 500));
  EXPECT_EQ(windows(), (Windows{{190, 360}, {400, 500}}));
  newer.push_back(backup("20261122-060000F", 360, 400));
  EXPECT_EQ(windows(), (Windows{{190, 500}}));
}

TEST(OpenApi, HasWhatItRefersToAndNothingElse) {
  const auto api = nlohmann::json::parse(openapi_text());

  EXPECT_EQ(api["openapi"], "3.0.3");
  std::set<std::string> referred;
  const auto flat = api.flatten();
  for (const auto& [path, value] : flat.items())
    if (path.ends_with("/$ref")) referred.insert(value.get<std::string>());
  std::set<std::string> there;
  for (const char* kind : {"parameters", "responses", "schemas"})
    for (const auto& [name, ignored] : api["components"][kind].items())
      there.insert(std::string("#/components/") + kind + "/" + name);
  EXPECT_EQ(referred, there);
}

}  // namespace
}  // namespace pgrevive::console
