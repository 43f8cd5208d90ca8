#include "repository/backup_info.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/throws.h"
#include "unit/repository/info_text.h"

namespace pgrevive::repository {
namespace {

using test::throws;

constexpr const char* kDatabase =
    "[db]\ndb-id=2\ndb-system-id=7\ndb-version=\"15\"\n\n[db:history]\n"
    "1={\"db-catalog-version\":1,\"db-control-version\":2,\"db-system-id\":6,\"db-version\":\"9."
    "6\"}\n"
    "2={\"db-catalog-version\":202209061,\"db-control-version\":1300,"
    "\"db-system-id\":18446744073709551615,\"db-version\":\"15\"}\n";

BackupInfo read(const std::string& text) {
  BackupInfo info;
  const auto reader = make_backup_info_reader("a.info", info);
  reader->write(as_bytes(text));
  reader->finish();
  return info;
}

TEST(BackupInfo, ReadsTheHistoryOfDatabases) {
  const auto info = read(test::seal(std::string("[cipher]\ncipher-pass=\"p\"\n\n") + kDatabase));

  EXPECT_TRUE(info.backups.empty());
  EXPECT_EQ(info.current_id, 2u);
  EXPECT_EQ(info.manifest_passphrase.reveal(), "p");
  ASSERT_EQ(info.history.size(), 2u);
  EXPECT_EQ(info.history[0].version.text(), "9.6");
  EXPECT_EQ(info.database(2)->system_id, 18446744073709551615u);
  EXPECT_EQ(info.database(2)->catalog_version, 202209061u);
  EXPECT_EQ(info.database(2)->control_version, 1300u);
  EXPECT_EQ(info.database(3), nullptr);
}

TEST(BackupInfo, ReadsEveryKeyOfABackup) {
  const auto info = read(test::seal(
      "[backup:current]\n"
      "20240115-020000F_20240116-020000I={\"backrest-format\":5,\"backrest-version\":\"2.45\","
      "\"backup-annotation\":{\"a\":\"b\",\"why\":\"before \\\"it\\\"\"},"
      "\"backup-archive-start\":\"000000010000000000000002\",\"backup-archive-stop\":"
      "\"000000010000000000000003\",\"backup-error\":true,\"backup-info-repo-size\":10,"
      "\"backup-info-repo-size-delta\":11,\"backup-info-size\":12,\"backup-info-size-delta\":13,"
      "\"backup-lsn-start\":\"0/2000028\",\"backup-lsn-stop\":\"0/3000100\",\"backup-prior\":"
      "\"20240115-020000F\",\"backup-reference\":[\"20240115-020000F\"],"
      "\"backup-timestamp-start\":100,\"backup-timestamp-stop\":200,\"backup-type\":\"incr\","
      "\"db-id\":2,\"option-online\":true,\"what-comes-one-day\":[{}]}\n\n" +
      std::string(kDatabase)));

  ASSERT_EQ(info.backups.size(), 1u);
  const Backup& backup = info.backups[0];
  EXPECT_EQ(backup.type(), BackupType::incremental);
  EXPECT_EQ(backup.backrest_version, "2.45");
  EXPECT_EQ(backup.annotations.at("why"), "before \"it\"");
  EXPECT_EQ(backup.archive_start, "000000010000000000000002");
  EXPECT_EQ(backup.archive_stop, "000000010000000000000003");
  EXPECT_EQ(backup.error, true);
  EXPECT_EQ(backup.repository_size, 10u);
  EXPECT_EQ(backup.repository_size_delta, 11u);
  EXPECT_EQ(backup.size, 12u);
  EXPECT_EQ(backup.size_delta, 13u);
  EXPECT_EQ(backup.lsn_start, postgres::Lsn(0x2000028));
  EXPECT_EQ(backup.lsn_stop, postgres::Lsn(0x3000100));
  EXPECT_EQ(backup.prior->text(), "20240115-020000F");
  EXPECT_EQ(backup.references, std::vector{*backup.prior});
  EXPECT_EQ(backup.timestamp_start, 100);
  EXPECT_EQ(backup.timestamp_stop, 200);
  EXPECT_EQ(backup.database_id, 2u);
  EXPECT_EQ(info.find(backup.label), &backup);
  EXPECT_EQ(info.find(*backup.prior), nullptr);
}

TEST(BackupInfo, ReadsAnOfflineBackup) {
  const auto info =
      read(test::seal("[backup:current]\n20240115-020000F={\"backup-archive-start\":null,"
                      "\"backup-archive-stop\":null,\"backup-timestamp-stop\":200,\"db-id\":1,"
                      "\"option-online\":false}\n\n" +
                      std::string(kDatabase)));

  const Backup& backup = info.backups.at(0);
  EXPECT_FALSE(backup.archive_start);
  EXPECT_FALSE(backup.archive_stop);
  EXPECT_FALSE(backup.lsn_start);
  EXPECT_FALSE(backup.error);
  EXPECT_FALSE(backup.online);
}

TEST(BackupInfo, OrdersBackupsByWhenTheyStopped) {
  // The second one was made in the hour that the end of summer time repeats.
  const auto info = read(
      test::seal("[backup:current]\n20241027-021000F={\"backup-timestamp-stop\":5000,\"db-id\":2}\n"
                 "20241027-025000F={\"backup-timestamp-stop\":3000,\"db-id\":2}\n\n" +
                 std::string(kDatabase)));

  EXPECT_EQ(info.backups.at(0).label.text(), "20241027-025000F");
  EXPECT_EQ(info.backups.at(1).label.text(), "20241027-021000F");
}

TEST(BackupInfo, RefusesWhatDoesNotFitTogether) {
  EXPECT_THAT([] { read(test::seal("[db]\ndb-id=1\n")); },
              throws(ErrorKind::corrupt, "is not in its history"));
  EXPECT_THAT(
      [] {
        read(test::seal("[backup:current]\n20240115-020000F={\"db-id\":3}\n\n" +
                        std::string(kDatabase)));
      },
      throws(ErrorKind::corrupt, "backup 20240115-020000F is of a database (db-id 3)"));
  EXPECT_THAT(
      [] { read(test::seal("[backup:current]\n../x={\"db-id\":2}\n\n" + std::string(kDatabase))); },
      throws(ErrorKind::corrupt, "'../x' is not a backup label"));
  EXPECT_THAT(
      [] {
        read(test::seal("[backup:current]\n20240115-020000F={\"backup-info-size\":-1}\n\n" +
                        std::string(kDatabase)));
      },
      throws(ErrorKind::corrupt, "20240115-020000F"));
  const std::string backup = "20240115-020000F={\"db-id\":2}\n";
  EXPECT_THAT(
      [&] {
        read(test::seal("[backup:current]\n" + backup + backup + "\n" + std::string(kDatabase)));
      },
      throws(ErrorKind::corrupt, "backup 20240115-020000F is listed twice"));
  EXPECT_THAT(
      [] {
        read(
            test::seal("[backup:current]\n20240115-020000F={\"backup-archive-start\":\"../../"
                       "\\u001b[31m\"}\n\n" +
                       std::string(kDatabase)));
      },
      throws(ErrorKind::corrupt, "'../../\\x1b[31m' is not the name of a WAL segment"));
}

TEST(BackupInfo, LeavesOutTheRepositorySizeOfBlockIncrementalBackups) {
  const auto info =
      read(read_file(std::string(TEST_DATA_DIR) + "/repository/pg15-lz4/backup/main/backup.info"));

  ASSERT_EQ(info.backups.size(), 3u);
  const Backup& last = info.backups[2];
  EXPECT_FALSE(last.repository_size);
  EXPECT_EQ(last.repository_size_map, 44814u);
  EXPECT_EQ(last.repository_size_map_delta, 10003u);
  EXPECT_EQ(last.repository_size_delta, 1012504u);
  EXPECT_EQ(last.references.size(), 2u);
}

}  // namespace
}  // namespace pgrevive::repository
