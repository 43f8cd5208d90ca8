#include "repository/repository.h"

#include <string>

#include <gtest/gtest.h>

#include "support/memory_storage.h"
#include "support/throws.h"
#include "unit/repository/info_text.h"
#include "unit/repository/stored_repository.h"

namespace pgrevive::repository {
namespace {

using test::MemoryStorage;
using test::throws;

constexpr const char* kPlain = "pg15-lz4";
constexpr const char* kEncrypted = "pg15-zst-aes";
constexpr const char* kPassphrase = "fixture-pass-15";

std::string damaged(const MemoryStorage& storage, const std::string& path) {
  std::string text(as_text(storage::read_all(storage, path)));
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  return text;
}

std::string whole(const MemoryStorage& storage, const std::string& path) {
  return std::string(as_text(storage::read_all(storage, path)));
}

constexpr const char* kBackupInfo = "backup/main/backup.info";
constexpr const char* kIncremental = "20261122-071340F_20261122-071349I";
const std::string kManifest = std::string("backup/main/") + kIncremental + "/backup.manifest";

TEST(Repository, LoadsAnEncryptedOneThroughItsChainOfPassphrases) {
  const auto storage = test::stored_repository(kEncrypted);
  for (const std::size_t piece : {1u, 7u, 1000u}) {
    storage->set_piece(piece);
    const Repository repository(storage, "main", Secret(kPassphrase));

    const auto info = repository.load_backup_info();
    const auto archive = repository.load_archive_info();
    const auto manifest = repository.load_manifest(info, info.backups.back().label);

    EXPECT_TRUE(repository.encrypted());
    EXPECT_EQ(info.backups.size(), 3u);
    EXPECT_FALSE(info.manifest_passphrase.empty());
    EXPECT_FALSE(archive.wal_passphrase.empty());
    EXPECT_FALSE(manifest.data_passphrase.empty());
    EXPECT_EQ(manifest.files.size(), 1592u);
  }
}

TEST(Repository, TakesTheCopyWhenTheFileItselfIsMissingOrDamaged) {
  const auto storage = test::stored_repository(kPlain);
  const Repository repository(storage, "main", Secret());
  for (const std::string& path :
       {std::string(kBackupInfo), kManifest, std::string("archive/main/archive.info")}) {
    storage->put(path + ".copy", whole(*storage, path));
    storage->put(path, damaged(*storage, path));
  }
  auto info = repository.load_backup_info();
  EXPECT_EQ(info.backups.size(), 3u);
  EXPECT_EQ(repository.load_archive_info().history.size(), 1u);
  EXPECT_EQ(repository.load_manifest(info, info.backups[2].label).files.size(), 1592u);

  storage->remove(kBackupInfo);
  storage->remove(kManifest);
  info = repository.load_backup_info();
  EXPECT_EQ(info.backups.size(), 3u);
  EXPECT_EQ(repository.load_manifest(info, info.backups[2].label).files.size(), 1592u);
}

TEST(Repository, TakesTheCopyWhenTheFileItselfCannotBeRead) {
  const auto storage = test::stored_repository(kPlain);
  storage->put(std::string(kBackupInfo) + ".copy", whole(*storage, kBackupInfo));
  storage->fail(kBackupInfo, Error(ErrorKind::unavailable, "cut off"), 100);
  EXPECT_EQ(Repository(storage, "main", Secret()).load_backup_info().backups.size(), 3u);
}

TEST(Repository, NamesBothReasonsWhenTheCopyFailsToo) {
  const auto storage = test::stored_repository(kPlain);
  const Repository repository(storage, "main", Secret());
  storage->put(std::string(kBackupInfo) + ".copy", "[backrest]\nbackrest-format=5\n");
  storage->put(kBackupInfo, damaged(*storage, kBackupInfo));
  EXPECT_THAT(
      [&] { repository.load_backup_info(); },
      throws(ErrorKind::corrupt, "backup.info.copy is cut off: it has no checksum at its end"));
  EXPECT_THAT([&] { repository.load_backup_info(); },
              throws(ErrorKind::corrupt, "memory:backup/main/backup.info: line "));

  storage->remove(std::string(kBackupInfo) + ".copy");
  storage->fail(kBackupInfo, Error(ErrorKind::unavailable, "timed out"));
  EXPECT_THAT([&] { repository.load_backup_info(); },
              throws(ErrorKind::unavailable, "timed out; its copy cannot be used either"));
}

TEST(Repository, TellsAWrongPassphraseFromDamage) {
  const auto storage = test::stored_repository(kEncrypted);
  const auto load = [&](const std::string& passphrase) {
    return Repository(storage, "main", Secret(passphrase)).load_backup_info();
  };
  // About one wrong passphrase in 256 decrypts without an error, so one try proves nothing.
  for (int i = 0; i < 600; ++i) {
    EXPECT_THAT([&] { load("wrong" + std::to_string(i)); },
                throws(ErrorKind::usage,
                       "the passphrase does not open memory:" + std::string(kBackupInfo)));
  }
  EXPECT_THAT([&] { load(""); }, throws(ErrorKind::usage, "is encrypted, and no passphrase"));
  EXPECT_THAT([&] { load(""); }, throws(ErrorKind::usage, "repo1-cipher-pass"));

  std::string cut = whole(*storage, kBackupInfo);
  cut.resize(cut.size() - 16);
  storage->put(kBackupInfo, cut);
  EXPECT_THAT([&] { load(kPassphrase); }, throws(ErrorKind::corrupt));
}

TEST(Repository, RefusesAPassphraseForAPlainRepository) {
  const Repository repository(test::stored_repository(kPlain), "main", Secret("pass"));
  EXPECT_THAT([&] { repository.load_backup_info(); },
              throws(ErrorKind::usage, "is not encrypted, but a passphrase was given"));
  EXPECT_THAT([&] { repository.load_archive_info(); }, throws(ErrorKind::usage, "not encrypted"));
}

TEST(Repository, NamesNewerFormats) {
  const auto storage = test::stored_repository(kEncrypted);
  for (const char* passphrase : {"", kPassphrase}) {
    const Repository repository(storage, "main", Secret(passphrase));
    storage->put(kBackupInfo, "PGBR006_01234567890123456789012345678901");
    EXPECT_THAT([&] { repository.load_backup_info(); },
                throws(ErrorKind::unsupported, "repository format 6, made by a newer pgBackRest"));
    storage->put(kBackupInfo, "PGBR007G0123456789");
    EXPECT_THAT([&] { repository.load_backup_info(); },
                throws(ErrorKind::unsupported, "repository format 7"));
  }
  storage->put(kBackupInfo, test::seal("", "6"));
  EXPECT_THAT([&] { Repository(storage, "main", Secret()).load_backup_info(); },
              throws(ErrorKind::unsupported, "repository format 6"));
}

TEST(Repository, RefusesFilesOfSomethingElse) {
  const auto storage = test::stored_repository(kPlain);
  for (const char* text : {"", "x", "<html>not here</html>", "PGBRxyz"}) {
    storage->put(kBackupInfo, text);
    EXPECT_THAT([&] { Repository(storage, "main", Secret()).load_backup_info(); },
                throws(ErrorKind::corrupt, "does not begin with [backrest]"));
    EXPECT_THAT([&] { Repository(storage, "main", Secret("p")).load_backup_info(); },
                throws(ErrorKind::corrupt, "is not an encrypted file"));
  }
}

TEST(Repository, SaysWhatIsThereWhenTheStanzaIsNot) {
  const auto storage = test::stored_repository(kPlain);
  storage->put("archive/other/archive.info", "");
  EXPECT_EQ(Repository::list_stanzas(*storage), (std::vector<std::string>{"main", "other"}));
  EXPECT_THAT([&] { Repository(storage, "mian", Secret()).load_backup_info(); },
              throws(ErrorKind::not_found, "stanza 'mian' does not exist"));
  EXPECT_THAT([&] { Repository(storage, "mian", Secret()).load_archive_info(); },
              throws(ErrorKind::not_found, "stanzas there: main, other"));
  EXPECT_THAT([&] { Repository(storage, "other", Secret()).load_backup_info(); },
              throws(ErrorKind::not_found, "backup.info does not exist, nor does its copy"));
  EXPECT_THAT(
      [] { Repository(std::make_shared<MemoryStorage>(), "main", Secret()).load_backup_info(); },
      throws(ErrorKind::not_found, "there is no pgBackRest repository in"));
}

TEST(Repository, RefusesAStanzaThatIsAPath) {
  for (const char* stanza : {"", ".", "..", "a/b", "../main"}) {
    EXPECT_THAT([&] { Repository(test::stored_repository(kPlain), stanza, Secret()); },
                throws(ErrorKind::usage, "is not a stanza name"));
  }
}

TEST(Repository, TellsAnUnfinishedBackupFromOneThatIsNotThere) {
  const auto storage = test::stored_repository(kPlain);
  const Repository repository(storage, "main", Secret());
  const auto info = repository.load_backup_info();
  storage->put("backup/main/20261123-000000F/backup.manifest.copy", "[backrest]\n");
  storage->put("backup/main/20261124-000000F/backup.manifest", "[backrest]\n");

  const auto load = [&](const char* label) {
    return repository.load_manifest(info, BackupLabel::parse(label));
  };
  EXPECT_THAT([&] { repository.check_finished(info, "20261123-000000F"); },
              throws(ErrorKind::not_found, "backup 20261123-000000F is not finished"));
  for (const char* set : {"20261124-000000F", "20261125-000000F", "latest"}) {
    EXPECT_NO_THROW(repository.check_finished(info, set)) << set;
  }
  EXPECT_THAT([&] { load("20261123-000000F"); },
              throws(ErrorKind::not_found, "backup 20261123-000000F is not finished"));
  EXPECT_THAT([&] { load("20261124-000000F"); },
              throws(ErrorKind::not_found, "is not listed in backup.info"));
  EXPECT_THAT([&] { load("20261125-000000F"); },
              throws(ErrorKind::not_found, "stanza main has no backup 20261125-000000F"));
  EXPECT_THAT([&] { load("20261125-000000F"); },
              throws(ErrorKind::not_found, "backups there: 20261122-071340F, "));
  EXPECT_THAT([&] { load("20261122-071340F"); },
              throws(ErrorKind::not_found, "listed in backup.info, but"));
}

TEST(Repository, RefusesTheManifestOfAnotherBackupOrCluster) {
  const auto storage = test::stored_repository(kPlain);
  const Repository repository(storage, "main", Secret());
  auto info = repository.load_backup_info();
  storage->put("backup/main/20261122-071340F/backup.manifest", whole(*storage, kManifest));
  EXPECT_THAT([&] { repository.load_manifest(info, info.backups[0].label); },
              throws(ErrorKind::corrupt, "is the manifest of backup 20261122-071340F_"));

  info.backups[2].timestamp_stop += 1;
  EXPECT_THAT([&] { repository.load_manifest(info, info.backups[2].label); },
              throws(ErrorKind::corrupt, "is not of the finished backup"));
  info.backups[2].timestamp_stop -= 1;
  info.history[0].system_id += 1;
  EXPECT_THAT([&] { repository.load_manifest(info, info.backups[2].label); },
              throws(ErrorKind::corrupt, "is of another cluster"));
}

TEST(Repository, RefusesAManifestThatItsPassphraseDoesNotOpen) {
  const auto storage = test::stored_repository(kEncrypted);
  const Repository repository(storage, "main", Secret(kPassphrase));
  auto info = repository.load_backup_info();
  const auto label = info.backups.back().label;
  info.manifest_passphrase = Secret("other");
  EXPECT_THAT([&] { repository.load_manifest(info, label); },
              throws(ErrorKind::corrupt, "the passphrase does not open"));
  info.manifest_passphrase = Secret();
  EXPECT_THAT([&] { repository.load_manifest(info, label); },
              throws(ErrorKind::corrupt, "do not belong together"));
}

}  // namespace
}  // namespace pgrevive::repository
