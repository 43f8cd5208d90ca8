#include "cluster/backrest_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

using repository::RepositoryOptions;
using testing::HasSubstr;
using testing::Not;

const StateDirectory kDirectory("/srv/demo");

Settings s3() {
  Settings settings;
  settings.cluster_name = "copy";
  auto& repository = settings.repository;
  repository.type = RepositoryOptions::Type::s3;
  repository.s3.bucket = "backups";
  repository.s3.prefix = "pg/main/";
  repository.s3.endpoint = "https://s3.example.com:9000";
  repository.s3.region = "eu";
  repository.s3.access_key = Secret("KEY");
  repository.s3.secret_key = Secret("SECRET");
  return settings;
}

Settings local() {
  Settings settings;
  settings.repository.type = RepositoryOptions::Type::posix;
  settings.repository.path = "/srv/backups";
  return settings;
}

TEST(SourceConf, DescribesABucket) {
  EXPECT_EQ(source_conf(s3(), "/srv/demo/primary/data"),
            "[global]\n"
            "repo1-type=s3\n"
            "repo1-path=/pg/main\n"
            "repo1-s3-bucket=backups\n"
            "repo1-s3-endpoint=s3.example.com:9000\n"
            "repo1-s3-region=eu\n"
            "repo1-s3-key=KEY\n"
            "repo1-s3-key-secret=SECRET\n"
            "repo1-s3-uri-style=path\n"
            "\n"
            "[main]\n"
            "pg1-path=/srv/demo/primary/data\n");
}

TEST(SourceConf, DescribesADirectoryWithItsCipher) {
  auto settings = local();
  settings.repository.cipher_passphrase = Secret("pass");

  EXPECT_EQ(source_conf(settings, "/data"),
            "[global]\n"
            "repo1-type=posix\n"
            "repo1-path=/srv/backups\n"
            "repo1-cipher-type=aes-256-cbc\n"
            "repo1-cipher-pass=pass\n"
            "\n"
            "[main]\n"
            "pg1-path=/data\n");
}

TEST(SourceConf, RefusesAValueThatWouldBeTwoLines) {
  auto settings = local();
  settings.repository.cipher_passphrase = Secret("a\nrepo1-path=/elsewhere");

  EXPECT_THAT([&] { source_conf(settings, "/data"); },
              testing::ThrowsMessage<Error>(HasSubstr("repo1-cipher-pass")));
}

TEST(SourceConf, TakesHostStyleForAmazonOnly) {
  auto settings = s3();
  settings.repository.s3.endpoint = "s3.eu-west-1.amazonaws.com";
  EXPECT_THAT(source_conf(settings, "/d"), HasSubstr("uri-style=host"));

  settings.repository.s3.bucket = "with.dots";
  EXPECT_THAT(source_conf(settings, "/d"), HasSubstr("uri-style=path"));
}

TEST(OwnArchive, LiesBesideTheSourceAndNeverInIt) {
  EXPECT_EQ(own_archive(s3(), kDirectory, {}).s3.prefix, "/pg/main-copy");
  EXPECT_EQ(own_archive(s3(), kDirectory, "20261122T151407").s3.prefix,
            "/pg/main-copy-20261122T151407");
  EXPECT_EQ(own_archive(local(), kDirectory, {}).path, "/srv/demo/archive");
  EXPECT_EQ(own_archive(local(), kDirectory, "20261122T151407").path, "/srv/demo/archive");

  auto settings = s3();
  settings.repository.s3.prefix = "/";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.prefix, "/pgrevive-copy");
}

TEST(OwnArchive, GoesWhereTheUserSays) {
  auto settings = s3();
  settings.wal_archive_path = "/other";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.prefix, "/other");
  EXPECT_EQ(own_archive(settings, kDirectory, "20261122T151407").s3.prefix, "/other");
}

TEST(OwnArchive, OfAClusterWithoutRepositoryIsLocal) {
  Settings settings;
  settings.restore_from_backup = false;
  EXPECT_EQ(own_archive(settings, kDirectory, {}).type, RepositoryOptions::Type::posix);
}

TEST(OwnArchive, IsRefusedInsideTheSourceOrOverPlainHttp) {
  EXPECT_EQ(own_archive_obstacle(s3(), kDirectory), "");
  EXPECT_EQ(own_archive_obstacle(local(), kDirectory), "");

  auto inside = s3();
  inside.wal_archive_path = "/pg/main/wal";
  EXPECT_THAT(own_archive_obstacle(inside, kDirectory), HasSubstr("in the source repository"));

  auto same = local();
  same.wal_archive_path = "/srv/backups";
  EXPECT_THAT(own_archive_obstacle(same, kDirectory), HasSubstr("in the source repository"));

  auto beside = local();
  beside.wal_archive_path = "/srv/backups-copy";
  EXPECT_EQ(own_archive_obstacle(beside, kDirectory), "");

  auto plain = s3();
  plain.repository.s3.endpoint = "http://127.0.0.1:9000";
  EXPECT_THAT(own_archive_obstacle(plain, kDirectory), HasSubstr("TLS"));
}

TEST(OwnArchiveConf, TellsPgbackrestWhereEverythingIs) {
  const auto text = own_archive_conf(s3(), kDirectory, {}, "/srv/demo/run", "postgres");

  EXPECT_THAT(text, HasSubstr("repo1-path=/pg/main-copy\n"));
  EXPECT_THAT(text, HasSubstr("repo1-retention-full=2\n"));
  EXPECT_THAT(text, HasSubstr("lock-path=/srv/demo/pgbackrest/lock\n"));
  EXPECT_THAT(text, HasSubstr("[main]\npg1-path=/srv/demo/primary/data\npg1-port=5433\n"
                              "pg1-socket-path=/srv/demo/run\npg1-user=postgres\n"));
}

TEST(BackrestEnvironment, NamesOptionsAsPgBackRestReadsThem) {
  const auto environment = backrest_environment(s3().repository);

  EXPECT_EQ(environment.at("PGBACKREST_REPO1_S3_KEY_SECRET"), "SECRET");
  EXPECT_EQ(environment.at("PGBACKREST_REPO1_PATH"), "/pg/main");
}

}  // namespace
}  // namespace pgrevive::cluster
