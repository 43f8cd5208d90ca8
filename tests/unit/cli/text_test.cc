#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/doctor_text.h"
#include "cli/errors.h"
#include "cli/log_merge.h"
#include "cli/repository_json.h"
#include "cli/running_report.h"
#include "cli/status_text.h"
#include "cluster/problems.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cli {
namespace {

using cluster::Check;
using cluster::Phase;
using testing::EndsWith;
using testing::HasSubstr;

cluster::RecoveryEnd recovery_end() {
  return {.target = "latest",
          .timeline = 1,
          .lsn = "0/5000028",
          .last_commit_time = "2026-11-22 14:05:09+00",
          .newest_archived_wal = "000000010000000000000005",
          .last_replayed_wal = "000000010000000000000005",
          .new_timeline = 2,
          .fork_lsn = "0/50000A0"};
}

cluster::ClusterStatus running() {
  cluster::ClusterStatus status;
  status.cluster_name = "postgres-cluster";
  status.state_directory = "/var/lib/pgrevive/postgres-cluster";
  status.supervisor_running = true;
  status.supervisor.phase = Phase::running;
  status.supervisor.phases = {{Phase::preparing, 1'795'356'300'000, 1'795'356'301'000},
                              {Phase::restoring, 1'795'356'301'000, 1'795'356'304'200},
                              {Phase::running, 1'795'356'309'000, 0}};
  status.supervisor.backup_label = "20261122-020000F_20261122-060000I";
  status.supervisor.restore = {
      .files_total = 1204, .files_done = 1204, .bytes_total = 48'000'000, .bytes_done = 48'000'000};
  status.supervisor.recovery_end = recovery_end();
  status.supervisor.notices = {{.text = "the source had one"}};
  status.nodes = {{.name = "primary",
                   .role = "primary",
                   .port = 5433,
                   .state = "accepting",
                   .pid = 4242,
                   .version = "15.20 (Debian 15.20-0+deb12u1)",
                   .timeline = 2,
                   .lsn = "0/6000148",
                   .backup_label = "20261122-020000F_20261122-060000I",
                   .data_directory = "/var/lib/pgrevive/postgres-cluster/primary/data",
                   .data_bytes = 48'200'000,
                   .disk_free_bytes = 52'000'000'000,
                   .connections = 7,
                   .started_ms = 1'795'356'309'000},
                  {.name = "replica",
                   .role = "replica",
                   .port = 5434,
                   .state = "accepting",
                   .pid = 4250,
                   .version = "15.20 (Debian 15.20-0+deb12u1)",
                   .timeline = 2,
                   .lsn = "0/6000148",
                   .replication = "streaming",
                   .lag_bytes = 0,
                   .lag_seconds = 0.02,
                   .backup_label = "20261122-020000F_20261122-060000I",
                   .data_directory = "/var/lib/pgrevive/postgres-cluster/replica/data",
                   .data_bytes = 48'200'000,
                   .disk_free_bytes = 52'000'000'000}};
  status.archiving = "own: 3 archived, last 000000020000000000000006 5 s ago, 0 failed";
  status.adminer_url = "http://127.0.0.1:8081";
  status.adminer_answers = true;
  return status;
}

TEST(StatusText, IsATableThatFitsATerminal) {
  const std::string text = status_text(running());

  for (const std::string& line : split(text, '\n')) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_EQ(text,
            "cluster    postgres-cluster: running since 2026-11-22 14:05:09+00\n"
            "directory  /var/lib/pgrevive/postgres-cluster\n"
            "backup     20261122-020000F_20261122-060000I\n"
            "\n"
            "node     role     port  state      tl  lsn        replication  lag\n"
            "primary  primary  5433  accepting   2  0/6000148  -            -\n"
            "replica  replica  5434  accepting   2  0/6000148  streaming    0 B, 0.0 s\n"
            "\n"
            "node     version   pid     data  disk free  conn  up since\n"
            "primary  15.20    4242  48.2 MB      52 GB     7  2026-11-22 14:05:09+00\n"
            "replica  15.20    4250  48.2 MB      52 GB     -  -\n"
            "\n"
            "recovery   ended at 0/5000028 on timeline 1 (target: latest)\n"
            "           last commit 2026-11-22 14:05:09+00\n"
            "           WAL read to 000000010000000000000005, the newest in the archive\n"
            "           promoted to timeline 2 at 0/50000A0\n"
            "archiving  own: 3 archived, last 000000020000000000000006 5 s ago, 0 failed\n"
            "Adminer    http://127.0.0.1:8081\n"
            "warning    the source had one\n");
}

TEST(StatusText, TellsArchivedWalThatWasNotReplayed) {
  cluster::RecoveryEnd end = recovery_end();
  end.newest_archived_wal = "000000010000000000000009";
  end.wal_left = 4;

  EXPECT_THAT(recovery_text(end), HasSubstr("\nWAL read to 000000010000000000000005\n"
                                            "newest in the archive: 000000010000000000000009, "
                                            "4 segments further\n"));
  end.before_target_us = 1'500'000;
  EXPECT_THAT(recovery_text(end),
              HasSubstr("last commit 2026-11-22 14:05:09+00, 1.5 s before the target\n"));
  end.before_target_us = 12'345;
  EXPECT_THAT(recovery_text(end), HasSubstr(", 12.3 ms before the target\n"));
  end.before_target_us = 1;
  EXPECT_THAT(recovery_text(end), HasSubstr(", 1 us before the target\n"));
  end.before_target_us = 0;
  EXPECT_THAT(recovery_text(end), HasSubstr(", at the target\n"));
}

TEST(StatusText, NamesPlacesInContainersByTheContainer) {
  cluster::ClusterStatus status = running();
  status.containers = true;
  status.cluster_name = "shop";
  status.state_directory = "/var/lib/postgresql/data/pgrevive";
  status.archive = "s3://backups/shop";
  status.archive_backup = "";
  const std::string text = status_text(status);
  EXPECT_THAT(text, HasSubstr("directory  /var/lib/postgresql/data/pgrevive in shop-primary\n"));
  EXPECT_THAT(text, HasSubstr("run docker exec -u postgres shop-primary pgbackrest "
                              "--config=/var/lib/postgresql/data/pgrevive/pgbackrest/"));
}

TEST(StatusText, ShowsWhatIsWrong) {
  cluster::ClusterStatus status = running();
  status.supervisor_running = false;
  status.supervisor.phase = Phase::failed;
  status.supervisor.error = "the port 5433 is taken\nhint: choose another";
  status.nodes[1] = {
      .name = "replica", .port = 5434, .state = "down", .error = "connection refused"};
  status.adminer_answers = false;
  status.archiving_ok = false;

  const std::string text = status_text(status);

  EXPECT_THAT(text, HasSubstr("cluster    postgres-cluster: failed\n"));
  EXPECT_THAT(text,
              HasSubstr("replica  -        5434  down        -  -          -            -\n"));
  EXPECT_THAT(text, HasSubstr("replica    connection refused\n"));
  EXPECT_THAT(text, HasSubstr("TROUBLE"));
  EXPECT_THAT(text, HasSubstr("(does not answer)"));
  EXPECT_THAT(text,
              HasSubstr("error      the port 5433 is taken\n           hint: choose another\n"));
}

TEST(StatusText, SaysWhetherServersRunThatNobodyLooksAfter) {
  cluster::ClusterStatus status = running();
  status.supervisor_running = false;
  EXPECT_THAT(status_text(status), HasSubstr("cluster    postgres-cluster: unattended\n"));
  for (auto& node : status.nodes) node.state = "down";
  EXPECT_THAT(status_text(status), HasSubstr("cluster    postgres-cluster: stopped\n"));
}

TEST(StatusText, TellsHowFarAPhaseIsAndHowFast) {
  cluster::ClusterStatus status = running();
  status.supervisor.phase = Phase::recovering;
  status.supervisor.wal_segments_total = 30;
  status.supervisor.wal_segments_done = 12;
  EXPECT_THAT(status_text(status), HasSubstr("\nprogress   12 of 30 WAL segments\n"));

  status.supervisor.phase = Phase::restoring;
  status.supervisor.restore = {
      .files_total = 10, .files_done = 5, .bytes_total = 4'000'000, .bytes_done = 2'000'000};
  EXPECT_THAT(status_text(status), HasSubstr("\nprogress   50 %  2 MB of 4 MB  5/10 files\n"));
}

TEST(WatchText, TellsWhatIsLeftOfEachPhaseAndHowFast) {
  cluster::Sight sight{.time_ms = 20'000, .status = running()};
  auto& supervisor = sight.status.supervisor;
  supervisor.phase = Phase::restoring;
  supervisor.phases = {{Phase::preparing, 1000, 2500}, {Phase::restoring, 2500, 0}};
  supervisor.restore = {.files_total = 10,
                        .files_done = 5,
                        .bytes_total = 4'000'000,
                        .bytes_done = 2'000'000,
                        .fetched = 700'000,
                        .requests = 12};
  sight.rates = {.bytes_per_second = 1e6, .average_bytes_per_second = 5e5, .left_ms = 2000};
  sight.status.restores = {{.outcome = "done", .phases = {{Phase::recovering, 1000, 4000}}}};
  const std::string text = watch_text(sight, {}, false);
  for (const std::string& line : split(text, '\n')) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(text, HasSubstr("\nphases     preparing          1.5 s\n"
                              "           restoring         17.5 s  2.0 s left\n"
                              "           recovering             -  last time 3.0 s\n"
                              "           promoting              -  time unknown\n"
                              "           configuring            -  time unknown\n"
                              "           joining replicas       -  time unknown\n"
                              "progress   50 %  2 MB of 4 MB  5/10 files  1 MB/s  2.0 s left\n"
                              "rate       1 MB/s now, 500 kB/s on average; 700 kB fetched in "
                              "12 requests\n"));

  supervisor.phase = Phase::recovering;
  supervisor.phases = {{Phase::restoring, 1000, 2500}, {Phase::recovering, 2500, 0}};
  supervisor.wal_segments_total = 30;
  supervisor.wal_segments_done = 12;
  sight.rates = {.segments_per_second = 1.5, .wal_left_ms = 12'000};
  EXPECT_THAT(watch_text(sight, {}, false),
              HasSubstr("           recovering        17.5 s  12.0 s left\n"));
  EXPECT_THAT(watch_text(sight, {}, false),
              HasSubstr("\nprogress   12 of 30 WAL segments, 12.0 s left\n"
                        "rate       1.5 WAL segments/s now\n"));

  supervisor.phase = Phase::running;
  supervisor.phases = {
      {Phase::restoring, 1000, 2500}, {Phase::recovering, 2500, 3500}, {Phase::running, 3500, 0}};
  EXPECT_THAT(watch_text(sight, {}, false),
              HasSubstr("\nphases     restoring 1.5 s, recovering 1.0 s\n"));
}

TEST(WatchText, TellsOfTheLagOverTimeTheSourceAndTheRestoresLog) {
  cluster::Sight sight{.time_ms = 20'000, .status = running()};
  Beside beside{.lags = {{.time_ms = 19'000, .lags = {{"replica", {.bytes = 2000}}}}},
                .log = {"P00 INFO: one", "P00 INFO: two"},
                .source = "s3://b/p\nrecoverable from a to b"};
  const auto text = watch_text(sight, beside, true);
  EXPECT_THAT(text, HasSubstr("\nlag        replica  █  at most 2 kB in 15 min\n"));
  EXPECT_THAT(text, HasSubstr("\nsource     s3://b/p\n           recoverable from a to b\n"));
  EXPECT_THAT(text, HasSubstr("\nlog        P00 INFO: one\n           P00 INFO: two\n"));
  EXPECT_THAT(watch_text(sight, beside, false),
              HasSubstr("\nlag        replica  at most 2 kB in 15 min\n"));
  const auto bare = watch_text(sight, {}, true);
  for (const char* name : {"\nlag ", "\nsource ", "\nlog "})
    EXPECT_THAT(bare, testing::Not(HasSubstr(name)));
}

TEST(WatchText, IsThatOfTheLastLookWhereNoneSucceedsAndSaysSo) {
  EXPECT_EQ(
      stale_watch_text("demo: running\n", std::chrono::seconds(3), "/c/x: Input/output error"),
      "cannot look at the cluster: /c/x: Input/output error\nas it was 3 s ago:\n\n"
      "demo: running\n");
}

TEST(StatusText, TellsWhatWorkersDoWhatIsWrongAndHowRestoresWent) {
  cluster::ClusterStatus status = running();
  status.supervisor.phase = Phase::restoring;
  status.supervisor.restore_retries = 5;
  status.supervisor.restore_throttled = 2;
  status.supervisor.restore.workers = {
      {.file = "pg_data/base/16384/a-name-that-is-longer-than-its-room",
       .bytes_done = 1'000'000,
       .bytes_total = 4'000'000,
       .files = 16},
      {}};
  status.nodes[0].disk_total_bytes = 52'000'000'000'000;
  status.restores = {{.outcome = "done",
                      .phases = {{Phase::restoring, 1'795'356'300'000, 1'795'356'309'000}},
                      .progress = {.bytes_total = 48'000'000}}};
  const std::string text = status_text(status);

  for (const std::string& line : split(text, '\n')) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(text, HasSubstr("\nproblem    only 52 GB are free on the disk of primary\n"
                              "           make room: PostgreSQL stops when the disk is full\n"));
  // Before the servers, which are not there yet, where a screen may end behind them.
  EXPECT_LT(text.find("\nworker 2"), text.find("\nnode "));
  EXPECT_THAT(text, HasSubstr("\nretries    5, 2 of them because the storage asked for fewer\n"
                             "worker 1   ...name-that-is-longer-than-its-room  1 MB of 4 MB, "
                             "15 more\n"
                             "worker 2   waits\n"));
  EXPECT_THAT(text, HasSubstr("\nrestores   2026-11-22 14:05:00+00  done in 9.0 s, 48 MB\n"));
}

TEST(WatchText, ShowsWhatGoesOnOnASmallScreenToo) {
  cluster::Sight sight{.time_ms = 20'000, .status = running()};
  auto& supervisor = sight.status.supervisor;
  supervisor.phase = Phase::restoring;
  supervisor.phases = {{Phase::preparing, 1000, 2500}, {Phase::restoring, 2500, 0}};
  supervisor.restore_retries = 1;
  supervisor.restore.workers.resize(9);
  const auto text = watch_text(sight, {.lags = {}, .log = {"one", "two", "three"}, .source = {}}, true);
  EXPECT_THAT(text, HasSubstr("\nworker 4   waits\n           and 5 more workers\nlog        one\n"
                              "           two\n           three\n"));
  const auto screen = redraw(text, 80, 24);
  for (const char* part : {"restoring", "joining replicas", "retries", "worker 4", "three"})
    EXPECT_THAT(screen, HasSubstr(part));
}

TEST(Redraw, BreaksWhatIsTooLongAndCutsWhatIsTooMuch) {
  EXPECT_EQ(redraw("a\n\nb\n", 40, 10), "\x1b[H\x1b[Ka\r\n\x1b[K\r\n\x1b[Kb\r\n\x1b[J");
  EXPECT_EQ(redraw("warning    one two three four\n", 20, 10),
            "\x1b[H\x1b[Kwarning    one two\r\n\x1b[K           three\r\n\x1b[K"
            "           four\r\n\x1b[J");
  EXPECT_EQ(redraw("a /longer/than/é/line\n", 16, 10),
            "\x1b[H\x1b[Ka\r\n\x1b[K           /long\r\n\x1b[K           er/th\r\n\x1b[K"
            "           an/é/\r\n\x1b[K           line\r\n\x1b[J");
  EXPECT_EQ(redraw("1\n2\n3\n4\n", 40, 4), "\x1b[H\x1b[K1\r\n\x1b[K2\r\n\x1b[K...\r\n\x1b[J");
}

TEST(StatusText, HealthIsEveryPartOfIt) {
  EXPECT_TRUE(healthy(running()));

  auto status = running();
  status.supervisor_running = false;
  EXPECT_FALSE(healthy(status));
  status = running();
  status.supervisor.phase = Phase::joining;
  EXPECT_FALSE(healthy(status));
  status = running();
  status.nodes[0].state = "down";
  EXPECT_FALSE(healthy(status));
  status = running();
  status.nodes[1].replication = "disconnected";
  EXPECT_FALSE(healthy(status));
  status = running();
  status.nodes[1].role = "primary";
  EXPECT_FALSE(healthy(status));
  status = running();
  status.nodes[0].role = "recovering";
  EXPECT_FALSE(healthy(status));
  status = running();
  status.archiving_ok = false;
  EXPECT_FALSE(healthy(status));
  status = running();
  status.adminer_answers = false;
  EXPECT_FALSE(healthy(status));
  status.adminer_url.clear();
  EXPECT_TRUE(healthy(status));
}

TEST(RunningReport, TellsHowToConnectAndWhatWasDone) {
  cluster::Settings settings;
  settings.replicas = 2;
  cluster::SupervisorStatus status = running().supervisor;
  status.dropped_settings = {"ssl_cert_file = '/etc/ssl/x': belongs to the source's host"};
  status.changed_settings = {"max_connections: 100 -> 420, demanded by the WAL"};

  EXPECT_EQ(running_report(settings, status),
            "\n"
            "postgres-cluster is running\n"
            "  primary    localhost:5433  reads and writes\n"
            "  replica    localhost:5434  reads\n"
            "  replica-2  localhost:5435  reads\n"
            "  console    http://localhost:8080\n"
            "  Adminer    http://localhost:8081\n"
            "  connect    pgrevive psql primary\n"
            "             psql -h localhost -p 5433 -U postgres testdb\n"
            "  restored   backup 20261122-020000F_20261122-060000I, 48 MB in 1204 files, in 3.2 s\n"
            "  up after   9.0 s\n"
            "  recovery   ended at 0/5000028 on timeline 1 (target: latest)\n"
            "             last commit 2026-11-22 14:05:09+00\n"
            "             WAL read to 000000010000000000000005, the newest in the archive\n"
            "             promoted to timeline 2 at 0/50000A0\n"
            "  warning    the source had one\n"
            "not taken over from the source's configuration:\n"
            "  ssl_cert_file = '/etc/ssl/x': belongs to the source's host\n"
            "other than in the source's configuration:\n"
            "  max_connections: 100 -> 420, demanded by the WAL\n");
}

TEST(RunningReport, SaysLessWhereNothingWasRestored) {
  cluster::Settings settings;
  settings.cluster_name = "copy";
  settings.replicas = 0;
  settings.adminer_port = 0;
  settings.console_port = 0;
  cluster::SupervisorStatus status = running().supervisor;
  status.phases = {{Phase::preparing, 1000, 1500}, {Phase::running, 3000, 0}};
  status.notices.clear();
  status.dropped_settings = {"ssl = on"};
  status.changed_settings = {"max_connections: 100 -> 420, demanded by the WAL"};

  EXPECT_EQ(running_report(settings, status),
            "\n"
            "copy is running\n"
            "  primary    localhost:5433  reads and writes\n"
            "  connect    pgrevive --cluster copy psql primary\n"
            "             psql -h localhost -p 5433 -U postgres testdb\n"
            "  up after   2.0 s\n");
}

TEST(ChecksText, CountsWhatFailed) {
  const std::vector<Check> checks{{.name = "both nodes answer", .detail = "15.20, 15.20"},
                                  {.id = "refuses_writes",
                                   .node = "replica",
                                   .name = "a write to the replica is refused",
                                   .result = Check::Result::failed,
                                   .detail = "it was taken"},
                                  {.name = "WAL archiving works",
                                   .result = Check::Result::not_applicable,
                                   .detail = "WAL_ARCHIVE=off"}};

  EXPECT_EQ(checks_text(checks),
            "  ok    both nodes answer                  15.20, 15.20\n"
            "  FAIL  a write to the replica is refused  it was taken\n"
            "  -     WAL archiving works                WAL_ARCHIVE=off\n"
            "\n"
            "1 passed, 1 failed, 1 do not apply\n");
  const auto json = nlohmann::json::parse(checks_json(checks));
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["checks"][1]["id"], "refuses_writes");
  EXPECT_EQ(json["checks"][1]["node"], "replica");
  EXPECT_EQ(json["checks"][1]["result"], "failed");
  EXPECT_EQ(json["checks"][2]["result"], "not_applicable");
}

TEST(DoctorText, FitsItsWidthAndPutsTheRemedyBelow) {
  using cluster::Finding;
  const std::vector<Finding> findings{
      {.name = "DNS", .detail = "s3.example is 10.0.0.1"},
      {.name = "TLS chain",
       .result = Finding::Result::failed,
       .detail = "the certificate of the server is not trusted",
       .remedy = "name its authority in S3_CA_FILE"},
      {.name = "clock", .result = Finding::Result::not_run, .detail = "needs TLS chain"},
      {.name = "locales", .result = Finding::Result::warning, .detail = "few", .remedy = "more"},
      {.name = "write", .result = Finding::Result::not_applicable, .detail = "not needed"}};

  EXPECT_EQ(findings_text(findings, 50),
            "  ok    DNS        s3.example is 10.0.0.1\n"
            "  FAIL  TLS chain  the certificate of the server\n"
            "                   is not trusted\n"
            "                   -> name its authority in\n"
            "                   S3_CA_FILE\n"
            "  ?     clock      not run: needs TLS chain\n"
            "  warn  locales    few\n"
            "                   -> more\n"
            "  -     write      not needed\n"
            "\n"
            "1 ok, 1 warn, 1 failed, 1 not run, 1 do not apply\n");
  EXPECT_FALSE(nothing_failed(findings));

  const auto json = nlohmann::json::parse(findings_json(findings));
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["checks"][1]["result"], "failed");
  EXPECT_EQ(json["checks"][1]["remedy"], "name its authority in S3_CA_FILE");
  EXPECT_EQ(json["checks"][2]["result"], "not_run");
  EXPECT_EQ(json["checks"][4]["result"], "not_applicable");
}

TEST(DoctorText, AWarningIsNoFailure) {
  using cluster::Finding;
  EXPECT_TRUE(nothing_failed({{.name = "a"},
                              {.name = "b", .result = Finding::Result::warning},
                              {.name = "c", .result = Finding::Result::not_applicable}}));
}

TEST(Wrap, BreaksAtBlanksAlone) {
  EXPECT_EQ(wrap("a bb ccc", 4), (std::vector<std::string>{"a bb", "ccc"}));
  EXPECT_EQ(wrap("s3://a/long/path x", 5), (std::vector<std::string>{"s3://a/long/path", "x"}));
  EXPECT_EQ(wrap("é é", 3), (std::vector<std::string>{"é é"}));
}

TEST(Errors, AreTextForPeopleAndAnObjectForPrograms) {
  Error error(ErrorKind::not_found, "no backup \"x\"");
  error.add_frame("looking for a backup");
  error.with_hint("make one");

  EXPECT_EQ(error_text(error),
            "error: no backup \"x\"\n  while looking for a backup\n  hint: make one\n");
  const auto json = nlohmann::json::parse(error_json(error));
  EXPECT_EQ(json["error"]["kind"], "not_found");
  EXPECT_EQ(json["error"]["exit_code"], 23);
  EXPECT_EQ(json["error"]["frames"][0], "looking for a backup");
}

TEST(ErrorText, SpeaksOfPgBackRestsOptionsToThoseWhoUseItsFile) {
  const Error error = std::move(Error(ErrorKind::denied, "S3_REGION is what the server said")
                                    .with_hint("check S3_REGION, S3_SECRET_KEY and S3_REGION"));

  const Error said = in_words_of_config(error);

  EXPECT_STREQ(said.what(), error.what());
  EXPECT_EQ(said.hint(), "check repo1-s3-region, repo1-s3-key-secret and repo1-s3-region");
  EXPECT_EQ(said.kind(), ErrorKind::denied);
}

TEST(LogMerge, OrdersByTimeAndKeepsTheLinesOfOneMessageTogether) {
  const std::string text = merge_logs({{"primary",
                                        "2026-11-22 14:00:01.100 UTC [1] LOG:  one\n\tsecond line "
                                        "of one\n2026-11-22 14:00:03.000 UTC [1] LOG:  three\n"},
                                       {"replica",
                                        "2026-11-22 14:00:02.000 UTC [2] LOG:  two\r\n2026-11-22 "
                                        "14:00:00.000 UTC [2] LOG:  clock set back\n"}},
                                      100);

  EXPECT_EQ(text,
            "primary | 2026-11-22 14:00:01.100 UTC [1] LOG:  one\n"
            "primary | \tsecond line of one\n"
            "replica | 2026-11-22 14:00:02.000 UTC [2] LOG:  two\n"
            "replica | 2026-11-22 14:00:00.000 UTC [2] LOG:  clock set back\n"
            "primary | 2026-11-22 14:00:03.000 UTC [1] LOG:  three\n");
}

TEST(LogMerge, PadsThePrefixAndCutsToTheLastLines) {
  EXPECT_EQ(merge_logs({{"primary", "a\nb\n"}, {"supervisor", "c\nd\n"}}, 3),
            "primary    | b\nsupervisor | c\nsupervisor | d\n");
  EXPECT_EQ(merge_logs({{"primary", "a\n"}}, 0), "");
}

TEST(LogMerge, ShowsNoPasswords) {
  EXPECT_EQ(merge_logs({{"primary", "STATEMENT:  alter role a password $t$x$t$\n"}}, 1),
            "primary | STATEMENT:  alter role a password $t$***$t$\n");
}

nlohmann::json stanza(const char* backup, int stop, const char* cipher, int code) {
  return nlohmann::json::array(
      {{{"name", "main"},
        {"archive", {{{"id", "15-1"}, {"database", {{"id", 1}, {"repo-key", 1}}}}}},
        {"backup",
         {{{"label", backup}, {"database", {{"repo-key", 1}}}, {"timestamp", {{"stop", stop}}}}}},
        {"db", {{{"id", 1}, {"repo-key", 1}}}},
        {"cipher", cipher},
        {"repo", {{{"key", 1}, {"cipher", cipher}}}},
        {"status", {{"code", code}, {"message", "x"}}}}});
}

TEST(RepositoryJson, SaysOfWhichRepositoryEachThingIs) {
  const auto merged =
      merge_repositories({with_repository_key(stanza("late", 20, "none", 0), 1),
                          with_repository_key(stanza("early", 10, "aes-256-cbc", 2), 3)});

  ASSERT_EQ(merged.size(), 1u);
  const auto& main = merged[0];
  EXPECT_EQ(main["backup"][0]["label"], "early");
  EXPECT_EQ(main["backup"][0]["database"]["repo-key"], 3);
  EXPECT_EQ(main["backup"][1]["database"]["repo-key"], 1);
  EXPECT_EQ(main["archive"][1]["database"]["repo-key"], 3);
  EXPECT_EQ(main["db"][1]["repo-key"], 3);
  EXPECT_EQ(main["repo"][1]["key"], 3);
  EXPECT_EQ(main["cipher"], "mixed");
  EXPECT_EQ(main["status"]["code"], 4);
}

TEST(RepositoryJson, OneRepositoryStaysAsItIs) {
  const auto report = stanza("b", 1, "none", 0);

  EXPECT_EQ(merge_repositories({report}), report);
}

}  // namespace
}  // namespace pgrevive::cli
