#include "repository/info_report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/throws.h"
#include "unit/repository/info_text.h"
#include "unit/repository/stored_repository.h"

namespace pgrevive::repository {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// The lz4 repository with an archive as long as it had when pgBackRest wrote info.json. Of the
// other segments only the names and the size of segments matter.
std::shared_ptr<test::MemoryStorage> whole_repository() {
  auto storage = test::stored_repository("pg15-lz4");
  const std::string directory = "archive/main/15-1/0000000100000000/";
  std::string segment;
  for (const auto& entry : storage->list(directory.substr(0, directory.size() - 1))) {
    if (entry.name.ends_with(".lz4"))
      segment = as_text(storage::read_all(*storage, directory + entry.name));
  }
  for (int number = 8; number <= 0x46; ++number) {
    if (number == 0x38) continue;
    const std::string name = fmt::format("0000000100000000{:08X}", number);
    storage->put(fmt::format("{}{}-{:040x}.lz4", directory, name, number), segment);
  }
  return storage;
}

json report(const std::shared_ptr<test::MemoryStorage>& storage, const std::string& stanza,
            const ReportOptions& options = {}) {
  return to_json({report_stanza(Repository(storage, stanza, Secret()), options)}).at(0);
}

TEST(InfoReport, IsWhatPgBackRestSays) {
  const std::string expected =
      read_file(std::string(TEST_DATA_DIR) + "/repository/pg15-lz4/info.json");
  EXPECT_EQ(to_json_text(report_repository(whole_repository(), Secret(), {})), expected);
}

TEST(InfoReport, ShowsAnEmptyArchiveAndNoBackups) {
  const auto storage = std::make_shared<test::MemoryStorage>();
  storage->put("backup/main/backup.info",
               test::seal("[db]\ndb-id=1\n\n[db:history]\n1={\"db-system-id\":7,\"db-version\":"
                          "\"15\"}\n"));
  storage->put(
      "archive/main/archive.info",
      test::seal("[db]\ndb-id=1\n\n[db:history]\n1={\"db-id\":7,\"db-version\":\"15\"}\n"));

  const json stanza = report(storage, "main");

  EXPECT_EQ(stanza["status"]["code"], 2);
  EXPECT_EQ(stanza["status"]["message"], "no valid backups");
  EXPECT_EQ(stanza["repo"][0]["status"]["code"], 2);
  EXPECT_EQ(stanza["archive"], json::parse(R"([{"database":{"id":1,"repo-key":1},"id":"15-1",
                                                "max":null,"min":null}])"));
  EXPECT_EQ(stanza["backup"], json::array());
  EXPECT_EQ(stanza["db"][0]["system-id"], 7);
}

TEST(InfoReport, LeavesOutTheArchiveOfAPriorDatabaseThatIsEmpty) {
  const auto storage = std::make_shared<test::MemoryStorage>();
  storage->put("backup/main/backup.info",
               test::seal("[db]\ndb-id=2\n\n[db:history]\n1={\"db-system-id\":7,\"db-version\":"
                          "\"14\"}\n2={\"db-system-id\":8,\"db-version\":\"15\"}\n"));
  // archive.info was made anew after the upgrade, so its history ids are others.
  storage->put("archive/main/archive.info",
               test::seal("[db]\ndb-id=9\n\n[db:history]\n3={\"db-id\":7,\"db-version\":\"14\"}\n"
                          "9={\"db-id\":8,\"db-version\":\"15\"}\n"));

  const json stanza = report(storage, "main");

  EXPECT_EQ(stanza["db"].size(), 2u);
  ASSERT_EQ(stanza["archive"].size(), 1u);
  EXPECT_EQ(stanza["archive"][0]["id"], "15-9");
  EXPECT_EQ(stanza["archive"][0]["database"]["id"], 2);
}

TEST(InfoReport, TellsTheWaysOfNotBeingThere) {
  const auto storage = whole_repository();
  EXPECT_EQ(report(storage, "other")["status"]["code"], 1);
  EXPECT_EQ(report(storage, "other")["status"]["message"], "missing stanza path");
  storage->put("backup/half/x", "");
  EXPECT_EQ(report(storage, "half")["status"]["code"], 3);
  EXPECT_EQ(report(storage, "half")["status"]["message"], "missing stanza data");
  EXPECT_TRUE(report_repository(std::make_shared<test::MemoryStorage>(), Secret(), {}).empty());
}

TEST(InfoReport, ShowsTroubleAsAStatus) {
  const auto storage = whole_repository();
  storage->fail("backup/main/backup.info", Error(ErrorKind::unavailable, "no answer"));
  json stanza = report(storage, "main");
  EXPECT_EQ(stanza["status"]["code"], 99);
  EXPECT_EQ(stanza["status"]["message"], "other");
  EXPECT_THAT(stanza["repo"][0]["status"]["message"], HasSubstr("no answer"));
  EXPECT_EQ(stanza["backup"], json::array());

  storage->heal("backup/main/backup.info");
  storage->remove("archive/main/archive.info");
  EXPECT_EQ(report(storage, "main")["status"]["code"], 99);

  const auto failed = report_stanza(Repository(storage, "main", Secret("p")), {});
  EXPECT_THAT(to_text({failed}), HasSubstr("status: error (memory:backup/main/backup.info is not "
                                           "encrypted"));
  EXPECT_THAT(to_text({failed}), HasSubstr("hint: remove the cipher passphrase"));
}

TEST(InfoReport, ShowsTheDetailsOfOneBackup) {
  const auto storage = whole_repository();
  const json stanza =
      report(storage, "main", {.set = BackupLabel::parse("20261122-071340F_20261122-071349I")});

  ASSERT_EQ(stanza["backup"].size(), 1u);
  const json& backup = stanza["backup"][0];
  EXPECT_EQ(backup["label"], "20261122-071340F_20261122-071349I");
  EXPECT_EQ(backup["database-ref"], json::parse(R"([{"name":"odd name ü","oid":16385},
      {"name":"postgres","oid":5},{"name":"testdb","oid":16384}])"));
  EXPECT_EQ(backup["link"], nullptr);
  EXPECT_EQ(backup["tablespace"][0]["name"], "fast");
  EXPECT_EQ(backup["tablespace"][0]["oid"], 16387);
  EXPECT_FALSE(backup.contains("error-list"));

  const json missing = report(storage, "main", {.set = BackupLabel::parse("20200101-000000F")});
  EXPECT_EQ(missing["status"]["code"], 6);
  EXPECT_EQ(missing["backup"], json::array());
}

TEST(InfoReport, ShowsHowFarEachBackupCanBeRecovered) {
  const auto storage = whole_repository();
  storage->remove(fmt::format(
      "archive/main/15-1/0000000100000000/0000000100000000{:08X}-{:040x}.lz4", 0x40, 0x40));
  const Repository repository(storage, "main", Secret());

  const std::string text = to_text({report_stanza(repository, {.recovery_points = true})});

  EXPECT_THAT(text, HasSubstr("stanza: main\n    status: ok\n    cipher: none\n"));
  EXPECT_THAT(text, HasSubstr("full backup: 20261122-071340F\n"));
  EXPECT_THAT(
      text, HasSubstr("recovery: from 2026-11-22 07:13:44+00 to the end of WAL "
                      "00000001000000000000003F (0/4000000), which is later than "
                      "2026-11-22 07:13:50+00\n"
                      "                gap in the archive: 000000010000000000000040 is missing\n"));
  EXPECT_THAT(text, HasSubstr("refers to: 20261122-071340F, 20261122-071340F_20261122-071345D\n"));
}

TEST(InfoReport, TellsThatInItsJsonOnlyToWhoAsks) {
  const auto storage = whole_repository();
  storage->remove(fmt::format(
      "archive/main/15-1/0000000100000000/0000000100000000{:08X}-{:040x}.lz4", 0x40, 0x40));

  EXPECT_FALSE(report(storage, "main")["backup"][0].contains("recovery"));
  const json recovery = report(storage, "main", {.recovery_points = true})["backup"][0]["recovery"];
  EXPECT_EQ(recovery["from"], 1795331624);
  EXPECT_EQ(recovery["missing"], nullptr);
  EXPECT_EQ(recovery["line"][0]["timeline"], 1);
  EXPECT_EQ(recovery["line"][0]["last-segment"], "00000001000000000000003F");
  EXPECT_EQ(recovery["line"][0]["end-lsn"], "0/4000000");
  EXPECT_EQ(recovery["line"][0]["reaches"], 1795331630);
  EXPECT_EQ(recovery["line"][0]["gap"], json::parse(R"([{"first": "000000010000000000000040",
                             "last": "000000010000000000000040", "segments": 1}])"));
}

TEST(InfoReport, SurvivesNamesThatAreNoUtf8) {
  StanzaReport stanza{.name = "main"};
  ReportedDatabase database{.current = true};
  ReportedBackup backup{.backup = {.label = BackupLabel::parse("20240115-020000F")}};
  backup.backup.annotations["a\xFF"] = "\xC3(\x1B[2J";
  database.backups.push_back(backup);
  stanza.databases.push_back(database);

  EXPECT_TRUE(json::accept(to_json_text({stanza})));
  EXPECT_THAT(to_text({stanza}), testing::Not(HasSubstr("\x1B")));
}

}  // namespace
}  // namespace pgrevive::repository
