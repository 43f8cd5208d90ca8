#include "cluster/backrest_conf.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temp_dir.h"

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

TEST(SourceConf, SaysForHowLongAStoreMayBeSilentWhereThatIsNotTheUsual) {
  auto settings = s3();
  EXPECT_THAT(source_conf(settings, "/d"), testing::Not(HasSubstr("io-timeout")));

  settings.repository.s3.stall_timeout = std::chrono::milliseconds(1500);
  EXPECT_THAT(source_conf(settings, "/d"), HasSubstr("\nio-timeout=2\n"));
}

TEST(SourceForInfo, IsTheNumberedRepositoryOfThatCommandAlone) {
  EXPECT_EQ(source_for_info(local(), 2),
            "\n[global:info]\n"
            "repo2-type=posix\n"
            "repo2-path=/srv/backups\n");
  EXPECT_THAT(source_for_info(s3(), 1), HasSubstr("\nrepo1-s3-key-secret=SECRET\n"));
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
  settings.own_archive.path = "/other";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.prefix, "/other");
  EXPECT_EQ(own_archive(settings, kDirectory, "20261122T151407").s3.prefix, "/other");
}

TEST(OwnArchive, OfAClusterWithoutRepositoryIsLocal) {
  Settings settings;
  settings.restore_from_backup = false;
  EXPECT_EQ(own_archive(settings, kDirectory, {}).type, RepositoryOptions::Type::posix);
}

TEST(OwnArchive, HasABucketAndKeysOfItsOwn) {
  auto settings = s3();
  settings.repository.s3.session_token = Secret("TOKEN");
  settings.repository.cipher_passphrase = Secret("pass");
  settings.own_archive.bucket = "wal";
  settings.own_archive.access_key = Secret("WRITER");
  settings.own_archive.secret_key = Secret("WRITERS");

  const auto archive = own_archive(settings, kDirectory, "20261122T151407");

  EXPECT_EQ(archive.describe(), "s3://wal/pg/main-copy-20261122T151407");
  EXPECT_EQ(archive.s3.access_key.reveal(), "WRITER");
  EXPECT_EQ(archive.s3.secret_key.reveal(), "WRITERS");
  EXPECT_TRUE(archive.s3.session_token.empty());
  EXPECT_EQ(archive.s3.endpoint, "https://s3.example.com:9000");
  EXPECT_EQ(archive.s3.region, "eu");
  EXPECT_EQ(archive.cipher_passphrase.reveal(), "pass");
  EXPECT_EQ(own_archive_obstacle(settings, kDirectory), "");

  const auto text = own_archive_conf(settings, kDirectory, {}, "/srv/demo/run", "postgres");
  EXPECT_THAT(text, HasSubstr("repo1-s3-bucket=wal\n"));
  EXPECT_THAT(text, HasSubstr("repo1-s3-key=WRITER\nrepo1-s3-key-secret=WRITERS\n"));
  EXPECT_THAT(text, Not(HasSubstr("TOKEN")));

  settings.wal_archive = WalArchiveMode::source;
  EXPECT_EQ(own_archive(settings, kDirectory, {}).describe(), "s3://backups/pg/main");
}

TEST(OwnArchive, HasAWayOfItsOwn) {
  auto settings = s3();
  settings.repository.s3.connect_host = "10.0.0.1";
  settings.repository.s3.connect_port = 9443;
  settings.own_archive.endpoint = "minio:9000";
  settings.own_archive.region = "us";
  settings.own_archive.uri_style = storage::UriStyle::host;
  settings.own_archive.verify_tls = false;
  settings.own_archive.ca_file = "/etc/minio.pem";
  settings.own_archive.cipher_passphrase = Secret("own pass");

  const auto archive = own_archive(settings, kDirectory, {});

  EXPECT_EQ(archive.s3.bucket, "backups");
  EXPECT_EQ(archive.s3.endpoint, "minio:9000");
  EXPECT_EQ(archive.s3.connect_host, "");
  EXPECT_EQ(archive.s3.connect_port, 0);
  EXPECT_EQ(archive.s3.region, "us");
  EXPECT_EQ(archive.s3.uri_style, storage::UriStyle::host);
  EXPECT_FALSE(archive.s3.verify_tls);
  EXPECT_EQ(archive.s3.ca_file, "/etc/minio.pem");
  EXPECT_EQ(archive.s3.access_key.reveal(), "KEY");
  EXPECT_EQ(archive.cipher_passphrase.reveal(), "own pass");
}

TEST(OwnArchive, OfAnotherRegionIsAtAmazonsEndpointThere) {
  auto settings = s3();
  settings.repository.s3.endpoint = "s3.eu.amazonaws.com";
  settings.own_archive.region = "us";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.endpoint, "s3.us.amazonaws.com");

  settings.repository.s3.endpoint = "https://s3.example.com";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.endpoint, "https://s3.example.com");
}

TEST(OwnArchive, IsInABucketBesideASourceInNone) {
  auto settings = local();
  settings.cluster_name = "copy";
  settings.own_archive.bucket = "wal";
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("WAL_ARCHIVE_S3_REGION"));
  settings.own_archive.region = "eu";
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("WAL_ARCHIVE_S3_ACCESS_KEY"));
  settings.own_archive.access_key = Secret("WRITER");
  settings.own_archive.secret_key = Secret("WRITERS");

  EXPECT_EQ(own_archive_obstacle(settings, kDirectory), "");
  EXPECT_EQ(own_archive(settings, kDirectory, {}).describe(), "s3://wal/pgrevive-copy");
  EXPECT_EQ(own_archive(settings, kDirectory, {}).s3.endpoint, "s3.eu.amazonaws.com");
}

TEST(OwnArchive, IsInADirectoryBesideASourceInABucket) {
  auto settings = s3();
  settings.own_archive.type = RepositoryOptions::Type::posix;
  EXPECT_EQ(own_archive(settings, kDirectory, {}).path, "/srv/demo/archive");
  settings.own_archive.path = "/srv/wal";
  EXPECT_EQ(own_archive(settings, kDirectory, {}).path, "/srv/wal");
  EXPECT_EQ(own_archive_obstacle(settings, kDirectory), "");
}

TEST(OwnArchive, MayHaveTheSourcesPathInAnotherBucketOnly) {
  auto settings = s3();
  settings.own_archive.path = "/pg/main";
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("in the source repository"));
  settings.own_archive.endpoint = "another-name-of-it:9000";
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("in the source repository"));
  settings.own_archive.bucket = "wal";
  EXPECT_EQ(own_archive_obstacle(settings, kDirectory), "");
}

TEST(OwnArchive, IsRefusedInsideTheSourceOrOverPlainHttp) {
  EXPECT_EQ(own_archive_obstacle(s3(), kDirectory), "");
  EXPECT_EQ(own_archive_obstacle(local(), kDirectory), "");

  auto inside = s3();
  inside.own_archive.path = "/pg/main/wal";
  EXPECT_THAT(own_archive_obstacle(inside, kDirectory), HasSubstr("in the source repository"));

  // The rest of the bucket is free beside a source at its root.
  auto root = s3();
  root.repository.s3.prefix = "/";
  for (const char* path : {"/archive", "/archive/main/wal", "backup/main/", "/"}) {
    root.own_archive.path = path;
    EXPECT_THAT(own_archive_obstacle(root, kDirectory), HasSubstr("in the source repository"))
        << path;
  }
  for (const char* path : {"/archives", "/wal", "/wal/archive"}) {
    root.own_archive.path = path;
    EXPECT_EQ(own_archive_obstacle(root, kDirectory), "") << path;
  }

  auto same = local();
  same.own_archive.path = "/srv/backups";
  EXPECT_THAT(own_archive_obstacle(same, kDirectory), HasSubstr("in the source repository"));

  auto beside = local();
  beside.own_archive.path = "/srv/backups-copy";
  EXPECT_EQ(own_archive_obstacle(beside, kDirectory), "");

  auto plain = s3();
  plain.repository.s3.endpoint = "http://127.0.0.1:9000";
  EXPECT_THAT(own_archive_obstacle(plain, kDirectory), HasSubstr("TLS"));
}

TEST(OwnArchive, IsRefusedWhereALinkLeadsIntoTheSource) {
  const test::TempDir temporary;
  std::filesystem::create_directories(temporary.path() / "source/archive");
  std::filesystem::create_directory_symlink(temporary.path() / "source", temporary.path() / "link");
  auto settings = local();
  settings.repository.path = temporary.path() / "source";
  settings.own_archive.path = (temporary.path() / "link/own").string();
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("in the source repository"));

  settings.repository.path = temporary.path() / "link";
  settings.own_archive.path = (temporary.path() / "source/own/").string();
  EXPECT_THAT(own_archive_obstacle(settings, kDirectory), HasSubstr("in the source repository"));

  settings.own_archive.path = (temporary.path() / "beside").string();
  EXPECT_EQ(own_archive_obstacle(settings, kDirectory), "");
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
