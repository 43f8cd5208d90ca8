#include "cluster/configuration.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace pgrevive::cluster {
namespace {

using postgres::Version;
using testing::HasSubstr;
using testing::Not;

NodeConfiguration node(int major = 15) {
  NodeConfiguration node;
  node.name = "primary";
  node.port = 5433;
  node.version = Version::of_major(major);
  node.data_directory = "/srv/demo/primary/data";
  node.conf_directory = "/srv/demo/primary/conf";
  node.socket_directory = "/srv/demo/run";
  node.host.memory_bytes = std::uint64_t{4} << 30;
  return node;
}

std::string conf(const NodeConfiguration& configuration, const Settings& settings = {}) {
  return postgresql_conf(configuration, settings);
}

TEST(PostgresqlConf, HasRoomForTheOriginsThatCameWithTheData) {
  auto with_origins = node();
  EXPECT_THAT(conf(with_origins), HasSubstr("max_replication_slots = 10\n"));
  with_origins.replication_origins = 100;
  EXPECT_THAT(conf(with_origins), HasSubstr("max_replication_slots = 164\n"));
  Settings settings;
  settings.max_replication_slots = 12;  // is no wish that the server could fulfil
  EXPECT_THAT(conf(with_origins, settings), HasSubstr("max_replication_slots = 164\n"));
  EXPECT_THAT(conf(with_origins), Not(HasSubstr("max_active_replication_origins")));

  auto newer = node(18);
  newer.replication_origins = 100;
  EXPECT_THAT(conf(newer), HasSubstr("max_replication_slots = 10\n"));
  EXPECT_THAT(conf(newer), HasSubstr("max_active_replication_origins = 164\n"));
  newer.source = {{"max_active_replication_origins", "500"}};
  EXPECT_THAT(conf(newer), HasSubstr("max_active_replication_origins = 500\n"));
}

TEST(PostgresqlConf, RunsNobodysLoginTriggersBeforeItIsSetUp) {
  auto held = node(17);
  EXPECT_THAT(conf(held), Not(HasSubstr("event_triggers")));
  held.hold_subscriptions = true;
  EXPECT_THAT(conf(held), HasSubstr("event_triggers = 'off'\n"));
  auto older = node(16);
  older.hold_subscriptions = true;
  EXPECT_THAT(conf(older), Not(HasSubstr("event_triggers")));
}

TEST(PostgresqlConf, NamesItsOwnFilesAndPlaces) {
  const auto text = conf(node());

  EXPECT_THAT(text, HasSubstr("data_directory = '/srv/demo/primary/data'\n"));
  EXPECT_THAT(text, HasSubstr("hba_file = '/srv/demo/primary/conf/pg_hba.conf'\n"));
  EXPECT_THAT(text, HasSubstr("ident_file = '/srv/demo/primary/conf/pg_ident.conf'\n"));
  EXPECT_THAT(text, HasSubstr("unix_socket_directories = '\"/srv/demo/run\"'\n"));
  EXPECT_THAT(text, HasSubstr("port = 5433\n"));
  EXPECT_THAT(text, HasSubstr("listen_addresses = 'localhost'\n"));
  EXPECT_THAT(text, HasSubstr("password_encryption = 'scram-sha-256'\n"));
}

TEST(PostgresqlConf, TakesSizesFromMemoryUnlessTheUserGaveThem) {
  auto text = conf(node());
  EXPECT_THAT(text, HasSubstr("shared_buffers = '512MB'\n"));
  EXPECT_THAT(text, HasSubstr("effective_cache_size = '2048MB'\n"));
  EXPECT_THAT(text, HasSubstr("maintenance_work_mem = '64MB'\n"));
  EXPECT_THAT(text, HasSubstr("work_mem = '4MB'\n"));

  Settings settings;
  settings.shared_buffers = "3GB";
  settings.work_mem = "1MB";
  text = conf(node(), settings);
  EXPECT_THAT(text, HasSubstr("shared_buffers = '3GB'\n"));
  EXPECT_THAT(text, HasSubstr("\nwork_mem = '1MB'\n"));
}

TEST(PostgresqlConf, NeverGoesBelowWhatTheWalDemandsOrTheSourceHad) {
  auto configuration = node();
  configuration.floor = {.max_connections = 300,
                         .max_worker_processes = 4,
                         .max_wal_senders = 25,
                         .max_prepared_xacts = 7,
                         .max_locks_per_xact = 64};
  configuration.source = {{"max_connections", "200"}, {"max_worker_processes", "16"}};
  Settings settings;
  settings.max_wal_senders = 5;

  const auto text = conf(configuration, settings);

  EXPECT_THAT(text, HasSubstr("max_connections = 300\n"));
  EXPECT_THAT(text, HasSubstr("max_worker_processes = 16\n"));
  EXPECT_THAT(text, HasSubstr("max_wal_senders = 25\n"));
  EXPECT_THAT(text, HasSubstr("max_prepared_transactions = 7\n"));
  // Written once: PostgreSQL would take a second one from the source's settings.
  EXPECT_THAT(text, Not(HasSubstr("'200'")));
}

TEST(ChangedParameters, SayWhatTheyWereAndWhy) {
  auto configuration = node();
  configuration.floor = {.max_connections = 300,
                         .max_worker_processes = 4,
                         .max_wal_senders = 25,
                         .max_prepared_xacts = 0,
                         .max_locks_per_xact = 64};
  configuration.source = {{"max_connections", "50"}, {"max_worker_processes", "16"}};
  configuration.replication_origins = 20;
  EXPECT_THAT(changed_parameters(configuration, {}),
              testing::ElementsAre("max_connections: 50 -> 300, demanded by the WAL",
                                   "max_wal_senders: 10 -> 25, demanded by the WAL",
                                   "max_replication_slots: 10 -> 84, room for the replication "
                                   "origins that came with the data"));

  configuration.floor = {};
  configuration.replication_origins = 0;
  configuration.source = {{"max_connections", "50"}, {"max_wal_senders", "20"}};
  Settings settings;
  settings.max_wal_senders = 7;
  EXPECT_THAT(changed_parameters(configuration, settings),
              testing::ElementsAre("max_connections: 50 -> 100, the least that a cluster here has",
                                   "max_wal_senders: 20 -> 7, as MAX_WAL_SENDERS says, with room "
                                   "for replicas"));

  EXPECT_EQ(difference({.max_connections = 300, .max_wal_senders = 15},
                       {.max_connections = 420, .max_wal_senders = 33}),
            "max_connections 300 -> 420, max_wal_senders 15 -> 33");
}

TEST(PostgresqlConf, HasNamesThatItsVersionKnows) {
  EXPECT_THAT(conf(node(15)), HasSubstr("wal_keep_size"));
  EXPECT_THAT(conf(node(12)), HasSubstr("wal_keep_segments"));
  EXPECT_THAT(conf(node(12)), Not(HasSubstr("max_slot_wal_keep_size")));
}

TEST(PostgresqlConf, HoldsRecoverySettingsFromTwelveOnAndRecoveryConfBefore) {
  auto configuration = node(12);
  configuration.recovery = {{"restore_command", "get %f 'here'"}};
  EXPECT_THAT(conf(configuration), HasSubstr("restore_command = 'get %f ''here'''\n"));

  configuration.version = Version::of_major(11);
  EXPECT_THAT(conf(configuration), Not(HasSubstr("restore_command")));
  EXPECT_THAT(recovery_conf(configuration), HasSubstr("standby_mode = 'on'\n"));
  EXPECT_THAT(recovery_conf(configuration), HasSubstr("restore_command = 'get %f ''here'''\n"));
}

TEST(PostgresqlConf, ArchivesOnlyWhereToldTo) {
  auto configuration = node();
  EXPECT_THAT(conf(configuration), HasSubstr("archive_mode = 'off'\n"));
  EXPECT_THAT(conf(configuration), Not(HasSubstr("archive_command")));

  configuration.archiving = true;
  EXPECT_THAT(conf(configuration), HasSubstr("archive_mode = 'on'\narchive_command = ''\n"));
}

TEST(PgHba, LetsNobodyInOverTheNetworkWhileRecovering) {
  const auto text = pg_hba_conf(Stage::recovering, {}, Version::of_major(15));

  EXPECT_THAT(text, Not(HasSubstr("host")));
  EXPECT_THAT(text, HasSubstr("peer map=pgrevive"));
}

// The lines without their comments, each with one blank between two words.
std::vector<std::string> rules(const std::string& text) {
  std::vector<std::string> found;
  for (const auto& line : split(text, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string rule;
    for (std::string word; words >> word;) rule += (rule.empty() ? "" : " ") + word;
    found.push_back(rule);
  }
  return found;
}

TEST(PgHba, HasTheseLinesAndNoOther) {
  Settings settings;
  settings.allowed_networks = {"10.1.0.0/16"};
  const std::vector<std::string> inside{"local replication pgrevive_replication scram-sha-256",
                                        "local all all peer map=pgrevive"};

  EXPECT_THAT(rules(pg_hba_conf(Stage::recovering, settings, Version::of_major(15))),
              testing::ElementsAre("local all all peer map=pgrevive"));
  for (const bool tls : {false, true}) {
    settings.node_tls = tls;
    const std::string type = tls ? "hostssl" : "host";
    auto expected = inside;
    expected.push_back(type + " all pgrevive_replication all reject");
    for (const char* address : {"127.0.0.1/32", "::1/128", "10.1.0.0/16"}) {
      expected.push_back(type + " all all " + address + " scram-sha-256");
      expected.push_back(type + " replication pgrevive_replication " + address + " scram-sha-256");
    }
    for (const auto stage : {Stage::primary, Stage::replica})
      EXPECT_EQ(rules(pg_hba_conf(stage, settings, Version::of_major(15))), expected);
  }
}

TEST(PgHba, AsksForScramFromLocalhostAndAllowedNetworks) {
  Settings settings;
  settings.allowed_networks = {"10.1.0.0/16"};

  const auto text = pg_hba_conf(Stage::primary, settings, Version::of_major(15));

  EXPECT_THAT(text, testing::ContainsRegex("host +all +all +127.0.0.1/32 +scram-sha-256"));
  EXPECT_THAT(text, testing::ContainsRegex("host +all +all +10.1.0.0/16 +scram-sha-256"));
  EXPECT_THAT(text, testing::ContainsRegex(
                        "host +replication +pgrevive_replication +10.1.0.0/16 +scram-sha-256"));
  EXPECT_THAT(text, Not(HasSubstr("trust")));
  EXPECT_THAT(text, Not(HasSubstr("0.0.0.0")));
}

TEST(PgHba, LetsTheRoleForReplicationIntoNoDatabase) {
  for (const bool tls : {false, true}) {
    Settings settings;
    settings.node_tls = tls;
    settings.allowed_networks = {"10.1.0.0/16"};

    const auto text = pg_hba_conf(Stage::primary, settings, Version::of_major(15));

    // The first line that fits counts.
    EXPECT_THAT(text, testing::ContainsRegex("all +pgrevive_replication +all +reject\n"));
    EXPECT_LT(text.find("reject"), text.find("scram-sha-256", text.find("peer"))) << text;
  }
}

TEST(PgHba, AsksForTlsOfWhoComesByTcpWhereNodesSpeakIt) {
  Settings settings;
  settings.node_tls = true;
  settings.allowed_networks = {"10.1.0.0/16"};

  const auto text = pg_hba_conf(Stage::replica, settings, Version::of_major(15));

  EXPECT_THAT(text, testing::ContainsRegex("hostssl +all +all +127.0.0.1/32 +scram-sha-256"));
  EXPECT_THAT(text, testing::ContainsRegex(
                        "hostssl +replication +pgrevive_replication +10.1.0.0/16 +scram-sha-256"));
  EXPECT_THAT(text, Not(HasSubstr("host ")));
  EXPECT_THAT(text, Not(HasSubstr("samehost")));
}

TEST(PgHba, LetsAReplicaInByTheAddressThatItHasToTake) {
  Settings settings;
  settings.node_tls = true;
  settings.listen_addresses = "10.1.2.3";

  EXPECT_THAT(pg_hba_conf(Stage::primary, settings, Version::of_major(15)),
              testing::ContainsRegex(
                  "hostssl +replication +pgrevive_replication +samehost +scram-sha-256"));
}

TEST(TlsHost, IsAnAddressThatTheServersListenOn) {
  const auto host = [](const std::string& list) {
    Settings settings;
    settings.listen_addresses = list;
    return tls_host(settings);
  };
  EXPECT_EQ(host("localhost"), "127.0.0.1");
  EXPECT_EQ(host("*"), "127.0.0.1");
  EXPECT_EQ(host("10.0.0.1, 127.0.0.2"), "127.0.0.2");
  EXPECT_EQ(host("10.0.0.1,10.0.0.2"), "10.0.0.1");
  EXPECT_EQ(host("::"), "::1");
}

TEST(PgIdent, MapsEveryUserToEveryRole) {
  const auto text = pg_ident_conf({"postgres", "root"}, {"app \"x\"", "postgres"});

  EXPECT_THAT(text, testing::ContainsRegex("pgrevive +\"root\" +\"app \"\"x\"\"\"\n"));
  EXPECT_THAT(text, testing::ContainsRegex("pgrevive +\"postgres\" +\"postgres\"\n"));
}

TEST(TargetSettings, StopAtTheTargetAndWait) {
  using restore::RecoveryType;
  const auto latest = target_settings({}, "3");
  EXPECT_EQ(latest, (std::vector<postgres::Setting>{{"recovery_target_timeline", "3"}}));

  const auto lsn =
      target_settings({.type = RecoveryType::lsn, .target = "0/5000000", .exclusive = true}, "1");
  EXPECT_EQ(lsn, (std::vector<postgres::Setting>{{"recovery_target_timeline", "1"},
                                                 {"recovery_target_lsn", "0/5000000"},
                                                 {"recovery_target_inclusive", "off"},
                                                 {"recovery_target_action", "pause"}}));

  const auto immediate = target_settings({.type = RecoveryType::immediate}, "1");
  EXPECT_EQ(immediate.at(1), (postgres::Setting{"recovery_target", "immediate"}));
}

TEST(Quoting, SurvivesShellPlaceholdersAndConnectionStrings) {
  EXPECT_EQ(shell_argument("/a b/it's 100%"), "'/a b/it'\\''s 100%%'");
  EXPECT_EQ(conninfo_value("it's \\ here"), "'it\\'s \\\\ here'");
}

TEST(SlotName, HasOnlyWhatASlotMayBeCalled) {
  EXPECT_EQ(slot_name("replica"), "pgrevive_replica");
  EXPECT_EQ(slot_name("replica-2"), "pgrevive_replica_2");
}

}  // namespace
}  // namespace pgrevive::cluster
