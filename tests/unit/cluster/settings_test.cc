#include "cluster/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

Settings unusual() {
  Settings settings;
  settings.cluster_name = "other";
  settings.user = "app \"admin\"";
  settings.password = Secret("päss'\\word");
  settings.database = "app";
  settings.primary_port = 6000;
  settings.replica_port = 6001;
  settings.adminer_port = 0;
  settings.adminer_listen = "0.0.0.0";
  settings.console_port = 0;
  settings.console_listen = "::";
  settings.console_hosts = {"db.example.org"};
  settings.replicas = 3;
  settings.replica_rebuild = ReplicaRebuild::backup;
  settings.listen_addresses = "*";
  settings.allowed_networks = {"10.0.0.0/8", "fd00::/8"};
  settings.node_tls = true;
  settings.restore_from_backup = false;
  settings.repository.type = repository::RepositoryOptions::Type::s3;
  settings.repository.stanza = "prod";
  settings.repository.cipher_passphrase = Secret("cipher");
  settings.repository.s3.bucket = "bucket";
  settings.repository.s3.prefix = "a/b";
  settings.repository.s3.endpoint = "https://s3:9000";
  settings.repository.s3.region = "eu";
  settings.repository.s3.access_key = Secret("key");
  settings.repository.s3.secret_key = Secret("secret");
  settings.repository.s3.session_token = Secret("token");
  settings.repository.s3.uri_style = storage::UriStyle::host;
  settings.repository.s3.connect_host = "127.0.0.1";
  settings.repository.s3.connect_port = 9443;
  settings.repository.s3.verify_tls = false;
  settings.repository.s3.ca_file = "/etc/ca.pem";
  settings.repository.s3.stall_timeout = std::chrono::milliseconds(1500);
  settings.backup_set = "20240115-020000F";
  settings.chosen_backup = "20240116-020000F";
  settings.target = {.type = restore::RecoveryType::time,
                     .target = "2026-11-22 14:05:00+00",
                     .exclusive = true,
                     .timeline = "2",
                     .action = "promote"};
  settings.target_given = true;
  settings.point = TargetPoint{.backup = "20240101-000000F",
                               .what = "restore point",
                               .begin = postgres::Lsn(0x16'B374D800),
                               .end = postgres::Lsn(0x16'B374D848),
                               .time = 1'704'067'200'123'456,
                               .timeline = 2,
                               .segment = "0000000200000016000000B3",
                               .again = {}};
  settings.databases = {.include = {"shop", "16400"}, .exclude = {"old"}};
  settings.drop_left_out = true;
  settings.tablespaces = {
      .entries = {{.node = "replica", .tablespace = "fast", .directory = "/ssd"}}, .all = "/srv"};
  settings.process_max = 7;
  settings.wal_archive = WalArchiveMode::off;
  settings.own_archive = {.type = repository::RepositoryOptions::Type::s3,
                          .path = "/elsewhere",
                          .bucket = "own",
                          .endpoint = "s3.own:9001",
                          .region = "us",
                          .access_key = Secret("own key"),
                          .secret_key = Secret("own secret"),
                          .session_token = Secret("own token"),
                          .uri_style = storage::UriStyle::path,
                          .verify_tls = false,
                          .ca_file = "/etc/own.pem",
                          .cipher_passphrase = Secret("own cipher")};
  settings.first_backup = true;
  settings.retention_full = 9;
  settings.retention_diff = 8;
  settings.shared_buffers = "1GB";
  settings.effective_cache_size = "2GB";
  settings.maintenance_work_mem = "64MB";
  settings.work_mem = "8MB";
  settings.max_wal_senders = 20;
  settings.max_replication_slots = 21;
  settings.postgres_binaries = "/opt/pg/bin";
  settings.containers = true;
  settings.lines_beside = {
      {.id = "line_beside", .text = "timeline 1 goes on", .values = {{"beside", "1"}}}};
  settings.missing_locales = {{.text = "no locale"}};
  return settings;
}

// Text that was read and written again says the same only if no field was lost on either way.
TEST(SettingsJson, KeepsEveryField) {
  const auto text = to_json(unusual());

  EXPECT_EQ(to_json(from_json(text)), text);
  EXPECT_NE(text, to_json(Settings{}));
}

TEST(SettingsJson, GivesBackSecretsAndChoices) {
  const auto settings = from_json(to_json(unusual()));

  EXPECT_EQ(settings.password.reveal(), "päss'\\word");
  EXPECT_EQ(settings.repository.s3.secret_key.reveal(), "secret");
  EXPECT_EQ(settings.repository.s3.uri_style, storage::UriStyle::host);
  EXPECT_EQ(settings.target.type, restore::RecoveryType::time);
  EXPECT_EQ(settings.wal_archive, WalArchiveMode::off);
  EXPECT_EQ(settings.backup_set, "20240115-020000F");
  EXPECT_EQ(settings.chosen_backup, "20240116-020000F");
  EXPECT_EQ(settings.max_wal_senders, 20);
}

TEST(SettingsJson, KeepsWhatWasNotSetUnset) {
  const auto settings = from_json(to_json(Settings{}));

  EXPECT_FALSE(settings.backup_set);
  EXPECT_FALSE(settings.own_archive.path);
  EXPECT_FALSE(settings.own_archive.type);
  EXPECT_FALSE(settings.own_archive.verify_tls);
  EXPECT_FALSE(settings.max_replication_slots);
}

// A cluster that runs has its settings from the program of yesterday.
TEST(SettingsJson, ReadsAnArchivesPathWhereItWasOnce) {
  auto text = to_json(unusual());
  const auto at = text.find("\"own_archive\": {");
  text.replace(at, text.find('}', at) + 1 - at, "\"wal_archive_path\": \"/before\"");

  EXPECT_EQ(from_json(text).own_archive.path, "/before");
}

TEST(SettingsJson, ReadsWarningsThatAreTextsAlone) {
  auto j = nlohmann::json::parse(to_json(unusual()));
  j["lines_beside"] = {"timeline 1 goes on"};
  j.erase("missing_locales");
  const auto settings = from_json(j.dump());

  EXPECT_EQ(settings.lines_beside, std::vector<Notice>{{.text = "timeline 1 goes on"}});
  EXPECT_TRUE(settings.missing_locales.empty());
}

TEST(SettingsJson, RefusesWhatIsNotWhole) {
  EXPECT_THAT([] { from_json("{\"cluster_name\": \"x\"}"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("settings.json cannot be read")));
  EXPECT_THAT([] { from_json("{"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("settings.json cannot be read")));
}

TEST(SettingsJson, SaysWhenATextIsNotUtf8) {
  Settings settings;
  settings.password = Secret("\xff\xfe");

  EXPECT_THAT([&] { to_json(settings); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("not valid UTF-8")));
}

}  // namespace
}  // namespace pgrevive::cluster
