#include "cli/backrest_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

BackrestConfig parse(const std::string& text, const Environment& environment = {},
                     const std::string& stanza = "main", const std::string& command = "restore") {
  return parse_backrest_config({{"pgbackrest.conf", text}}, environment, stanza, command);
}

std::string path_of(const std::string& text, const Environment& environment = {}) {
  const BackrestConfig config = parse(text, environment);
  const std::string* path = config.find("repo1-path");
  return path == nullptr ? "" : *path;
}

std::string complaint(const std::string& text) {
  try {
    std::vector<std::string> warnings;
    repositories_of(parse(text), "main", warnings);
  } catch (const Error& error) {
    return error.text();
  }
  return "no complaint";
}

TEST(BackrestConfig, StrongerSectionsWinInWhateverOrderTheyStand) {
  EXPECT_EQ(path_of("[global]\nrepo1-path=/g\n"), "/g");
  EXPECT_EQ(path_of("[global:restore]\nrepo1-path=/gr\n[global]\nrepo1-path=/g\n"), "/gr");
  EXPECT_EQ(path_of("[main]\nrepo1-path=/m\n[global:restore]\nrepo1-path=/gr\n"), "/m");
  EXPECT_EQ(path_of("[main:restore]\nrepo1-path=/mr\n[main]\nrepo1-path=/m\n"), "/mr");
  EXPECT_EQ(path_of("[main:restore]\nrepo1-path=/mr\n", {{"PGBACKREST_REPO1_PATH", "/e"}}), "/e");
}

TEST(BackrestConfig, SectionsOfOthersDoNotCount) {
  EXPECT_EQ(path_of("[other]\nrepo1-path=/o\n[global:archive-get]\nrepo1-path=/"
                    "a\n[main:info]\nrepo1-path=/i\n"),
            "");
}

TEST(BackrestConfig, ListsTheStanzas) {
  EXPECT_THAT(parse("[global]\n[b]\n[a:restore]\n[global:info]\n").stanzas, ElementsAre("a", "b"));
}

TEST(BackrestConfig, KnowsTheOldSpellings) {
  const BackrestConfig config = parse(
      "[global]\nrepo-s3-bucket=b\nrepo1-s3-verify-ssl=n\nrepo-s3-ca-file=/"
      "ca\nrepo1-s3-host=h\nretention-full=2\n"
      "[main]\ndb-path=/pg\ndb2-port=5433\n");

  EXPECT_EQ(*config.find("repo1-s3-bucket"), "b");
  EXPECT_EQ(*config.find("repo1-storage-verify-tls"), "n");
  EXPECT_EQ(*config.find("repo1-storage-ca-file"), "/ca");
  EXPECT_EQ(*config.find("repo1-storage-host"), "h");
  EXPECT_EQ(*config.find("repo1-retention-full"), "2");
  EXPECT_EQ(*config.find("pg1-path"), "/pg");
  EXPECT_EQ(*config.find("pg2-port"), "5433");
  EXPECT_THAT(config.warnings, IsEmpty());
}

TEST(BackrestConfig, WarnsOfUnknownNamesWithFileAndLine) {
  const BackrestConfig config =
      parse("[global]\nrepo1-pth=/x\n[main]\nfoo=1\n", {{"PGBACKREST_REPO1_PTH", "/x"}});

  EXPECT_THAT(config.warnings,
              ElementsAre("pgbackrest.conf line 2: pgBackRest has no option 'repo1-pth'",
                          "pgbackrest.conf line 4: pgBackRest has no option 'foo'",
                          "the environment's PGBACKREST_REPO1_PTH is no option of pgBackRest"));
}

TEST(BackrestConfig, RefusesWhatPgBackRestRefuses) {
  EXPECT_THAT(complaint("[global]\nrepo1-path=/a\nrepo1-path=/b\n"),
              HasSubstr("line 3: repo1-path is set twice in [global]"));
  EXPECT_THAT(complaint("[global]\nrepo1-path=/a\nrepo-path=/b\n"),
              HasSubstr("repo1-path and repo-path are the same option"));
  EXPECT_THAT(complaint("[gl\xef"
                        "bal]\nrepo1-path=/a\nrepo-path=/b\n"),
              HasSubstr("both set in [gl\\xefbal]"));
  EXPECT_THAT(complaint("[global]\n;semicolon\n"),
              HasSubstr("line 2: this is neither a [section] nor name=value"));
  EXPECT_THAT(complaint("[global]\nrepo1-path=\n"), HasSubstr("repo1-path must have a value"));
  EXPECT_THAT(complaint("repo1-path=/a\n"), HasSubstr("before the first [section]"));
}

TEST(BackrestConfig, TakesValuesAsTheyAreWritten) {
  EXPECT_EQ(path_of("[global]\n  repo1-path = /a b # c  \r\n# repo1-path=/z\n"), "/a b # c");
}

TEST(BackrestConfig, OptionsThatAreListsMayStandAgain) {
  EXPECT_NO_THROW(parse("[main]\ntablespace-map=a=/a\ntablespace-map=b=/b\n"));
}

TEST(BackrestConfig, KnowsWhichDatabasesAreWanted) {
  const auto wanted = [](const std::string& text, const Environment& environment = {}) {
    return restore_options_of(parse(text, environment));
  };
  const auto some = wanted(
      "[global]\ndb-include=none\narchive-mode=off\n"
      "[main]\ndb-include=a\ndb-exclude=template1\ndb-include=b c\n");
  EXPECT_THAT(some.db_include, ElementsAre("a", "b c"));
  EXPECT_THAT(some.db_exclude, ElementsAre("template1"));
  EXPECT_EQ(some.archive_mode, "off");
  EXPECT_THAT(wanted("[main]\ndb-include=a\n", {{"PGBACKREST_DB_INCLUDE", "x:y"}}).db_include,
              ElementsAre("x", "y"));
  EXPECT_THAT(wanted("[main:backup]\ndb-include=a\n").db_include, IsEmpty());
}

TEST(BackrestConfig, GivesTheRepositoriesInOrderOfTheirNumbers) {
  std::vector<std::string> warnings;
  const auto repositories = repositories_of(
      parse("[global]\n"
            "repo2-type=s3\nrepo2-path=/"
            "p\nrepo2-s3-bucket=b\nrepo2-s3-endpoint=e:9000\nrepo2-s3-region=r\n"
            "repo2-s3-key=k\nrepo2-s3-key-secret=s\nrepo2-s3-token=t\nrepo2-s3-uri-style=path\n"
            "repo2-storage-verify-tls=n\nrepo2-storage-ca-file=/ca\nrepo2-storage-host=https://"
            "127.0.0.1:9001\n"
            "repo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass=p\n"
            "repo1-path=/backups\n"),
      "main", warnings);

  ASSERT_EQ(repositories.size(), 2u);
  EXPECT_EQ(repositories[0].index, 1);
  EXPECT_EQ(repositories[0].options.type, repository::RepositoryOptions::Type::posix);
  EXPECT_EQ(repositories[0].options.path, "/backups");
  EXPECT_TRUE(repositories[0].options.cipher_passphrase.empty());
  const repository::RepositoryOptions& second = repositories[1].options;
  EXPECT_EQ(repositories[1].index, 2);
  EXPECT_EQ(second.stanza, "main");
  EXPECT_EQ(second.s3.bucket, "b");
  EXPECT_EQ(second.s3.endpoint, "e:9000");
  EXPECT_EQ(second.s3.region, "r");
  EXPECT_EQ(second.s3.prefix, "/p");
  EXPECT_EQ(second.s3.access_key.reveal(), "k");
  EXPECT_EQ(second.s3.secret_key.reveal(), "s");
  EXPECT_EQ(second.s3.session_token.reveal(), "t");
  EXPECT_EQ(second.s3.uri_style, storage::UriStyle::path);
  EXPECT_FALSE(second.s3.verify_tls);
  EXPECT_EQ(second.s3.ca_file, "/ca");
  EXPECT_EQ(second.s3.connect_host, "127.0.0.1");
  EXPECT_EQ(second.s3.connect_port, 9001);
  EXPECT_EQ(second.cipher_passphrase.reveal(), "p");
}

TEST(BackrestConfig, HasHostStyleAndTheDefaultPathWhereNothingIsSaid) {
  std::vector<std::string> warnings;
  const auto repositories = repositories_of(
      parse("[global]\nrepo1-type=s3\nrepo1-s3-bucket=b\nrepo1-s3-endpoint=e\nrepo1-s3-region=r\n"
            "repo1-s3-key=k\nrepo1-s3-key-secret=s\n"),
      "main", warnings);

  EXPECT_EQ(repositories.at(0).options.s3.uri_style, storage::UriStyle::host);
  EXPECT_EQ(repositories.at(0).options.s3.prefix, "/var/lib/pgbackrest");
}

TEST(BackrestConfig, SaysWhatARepositoryLacksOrCannotBe) {
  EXPECT_THAT(complaint("[global]\nrepo1-type=s3\n"), HasSubstr("repo1-s3-bucket is missing"));
  EXPECT_THAT(complaint("[global]\nrepo1-path=relative\n"), HasSubstr("must begin with /"));
  EXPECT_THAT(complaint("[global]\nrepo1-cipher-type=aes-256-cbc\n"),
              HasSubstr("repo1-cipher-pass is missing"));
  EXPECT_THAT(complaint("[global]\nrepo1-type=azure\n"),
              HasSubstr("repo1-type=azure is not supported"));
  EXPECT_THAT(complaint("[global]\nrepo1-host=backup.example\n"), HasSubstr("repository host"));
}

TEST(BackrestConfig, LeavesOutAStorageWeDoNotReadIfThereIsAnother) {
  std::vector<std::string> warnings;
  const auto repositories =
      repositories_of(parse("[global]\nrepo1-type=gcs\nrepo2-path=/b\n"), "main", warnings);

  ASSERT_EQ(repositories.size(), 1u);
  EXPECT_EQ(repositories[0].index, 2);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("repository 1 is left out")));
}

TEST(BackrestConfig, ReadsTheIncludeDirectoryInOrderOfName) {
  const test::TempDir directory;
  std::filesystem::create_directory(directory.path() / "conf.d");
  write_file_atomic(directory.path() / "main.conf", "[global]\nrepo1-path=/g\n");
  write_file_atomic(directory.path() / "conf.d" / "b.conf", "[main]\nrepo1-path=/b\n");
  write_file_atomic(directory.path() / "conf.d" / "a.conf", "[main]\nprocess-max=3\n");
  write_file_atomic(directory.path() / "conf.d" / "c.txt", "not read");
  const auto load = [&](const Environment& environment) {
    return load_backrest_config(directory.path() / "main.conf", environment, "main", "restore");
  };

  // A file named on its own is all that is read.
  EXPECT_EQ(*load({}).find("repo1-path"), "/g");
  const BackrestConfig config =
      load({{"PGBACKREST_CONFIG_INCLUDE_PATH", (directory.path() / "conf.d").string()}});
  EXPECT_EQ(*config.find("repo1-path"), "/b");
  EXPECT_EQ(process_max_of(config), 3u);
}

TEST(BackrestConfig, FollowsAnIncludePathInTheFileItself) {
  const test::TempDir directory;
  std::filesystem::create_directory(directory.path() / "more");
  write_file_atomic(directory.path() / "main.conf",
                    "[global]\nconfig-include-path=" + (directory.path() / "more").string() + "\n");
  write_file_atomic(directory.path() / "more" / "a.conf", "[main]\nrepo1-path=/a\n");

  EXPECT_EQ(*load_backrest_config(directory.path() / "main.conf", {}, "main", "restore")
                 .find("repo1-path"),
            "/a");
}

TEST(BackrestConfig, AFileThatWasNamedMustBeThere) {
  EXPECT_THROW(load_backrest_config("/nowhere/pgbackrest.conf", {}, "main", "restore"), Error);
}

TEST(BackrestConfig, AnIoTimeoutIsForHowLongAStoreMayBeSilent) {
  const auto limit = [](const std::string& value) {
    std::vector<std::string> warnings;
    const auto config = parse("[global]\nrepo1-path=/a\n" + value);
    return repositories_of(config, "main", warnings).front().options.s3.stall_timeout;
  };
  EXPECT_EQ(limit(""), std::chrono::seconds(30));
  EXPECT_EQ(limit("io-timeout=5\n"), std::chrono::seconds(5));
  EXPECT_EQ(limit("io-timeout=.5\n"), std::chrono::milliseconds(500));
  EXPECT_EQ(limit("io-timeout=2.000\n"), std::chrono::seconds(2));
  EXPECT_EQ(limit("io-timeout=2m\n"), std::chrono::minutes(2));
  for (const auto* wrong : {"0", "3601", "soon", "5 s", "-1", ""})
    EXPECT_THROW(limit(std::string("io-timeout=") + wrong + "\n"), Error) << wrong;
}

TEST(BackrestConfig, RefusesAProcessMaxThatCannotBe) {
  EXPECT_THROW(process_max_of(parse("[global]\nprocess-max=many\n")), Error);
  EXPECT_EQ(process_max_of(parse("[global]\n")), std::nullopt);
}

}  // namespace
}  // namespace pgrevive::cli
