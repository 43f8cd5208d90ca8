#include "repository/manifest.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "repository/layout.h"
#include "support/throws.h"
#include "unit/repository/info_text.h"

namespace pgrevive::repository {
namespace {

using test::throws;

constexpr const char* kChecksum = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

// The sections of a small manifest, each of which a test can replace.
struct Text {
  std::string backup =
      "backup-label=\"20240115-020000F\"\n"
      "backup-reference=\"20240115-020000F\"\n"
      "backup-timestamp-start=100\nbackup-timestamp-stop=200\n";
  std::string db =
      "db-catalog-version=202209061\ndb-control-version=1300\ndb-id=1\n"
      "db-system-id=18446744073709551615\ndb-version=\"15\"\n";
  std::string option = "option-compress-type=\"zst\"\n";
  std::string target = "pg_data={\"path\":\"/var/lib/pg\",\"type\":\"path\"}\n";
  std::string cipher;
  std::string file = "pg_data/PG_VERSION={\"checksum\":\"" + std::string(kChecksum) +
                     "\",\"size\":3,\"timestamp\":150}\n";
  std::string file_default = "group=\"pg\"\nmode=\"0600\"\nuser=\"postgres\"\n";
  std::string link;
  std::string path = "pg_data={}\n";
  std::string path_default = "group=\"pg\"\nmode=\"0700\"\nuser=\"postgres\"\n";

  std::string text() const {
    std::string sections = "[backup]\n" + backup + "\n[backup:db]\n" + db + "\n[backup:option]\n" +
                           option + "\n[backup:target]\n" + target;
    if (!cipher.empty()) sections += "\n[cipher]\n" + cipher;
    if (!file.empty()) sections += "\n[target:file]\n" + file;
    if (!file_default.empty()) sections += "\n[target:file:default]\n" + file_default;
    if (!link.empty())
      sections +=
          "\n[target:link]\n" + link + "\n[target:link:default]\ngroup=\"pg\"\nuser=false\n";
    sections += "\n[target:path]\n" + path + "\n[target:path:default]\n" + path_default;
    return test::seal(sections);
  }
};

Manifest read(const std::string& text) {
  Manifest manifest;
  const auto reader = make_manifest_reader("a.manifest", manifest);
  reader->write(as_bytes(text));
  reader->finish();
  return manifest;
}

// A file entry with the keys that are required and these.
std::string file_entry(const std::string& name, const std::string& more = "") {
  return fmt::format("{}={{{}{}\"checksum\":\"{}\",\"size\":8192,\"timestamp\":1}}\n", name, more,
                     more.empty() ? "" : ",", kChecksum);
}

TEST(Manifest, ReadsWhatItSaysOfTheBackup) {
  Text text;
  text.backup =
      "backup-archive-start=\"000000010000000000000002\"\n"
      "backup-archive-stop=\"000000010000000000000003\"\n"
      "backup-bundle-raw=true\n"
      "backup-label=\"20240115-020000F\"\n"
      "backup-lsn-start=\"0/2000028\"\nbackup-lsn-stop=\"0/3000100\"\n"
      "backup-reference=\"20240115-020000F\"\n"
      "backup-timestamp-copy-start=101\n"
      "backup-timestamp-start=100\nbackup-timestamp-stop=200\n";
  text.cipher = "cipher-pass=\"the pass\"\n";

  const Manifest manifest = read(text.text());

  EXPECT_EQ(manifest.label.text(), "20240115-020000F");
  EXPECT_EQ(manifest.references, std::vector{manifest.label});
  EXPECT_EQ(manifest.archive_start, "000000010000000000000002");
  EXPECT_EQ(manifest.archive_stop, "000000010000000000000003");
  EXPECT_EQ(manifest.lsn_start, postgres::Lsn(0x2000028));
  EXPECT_EQ(manifest.lsn_stop, postgres::Lsn(0x3000100));
  EXPECT_EQ(manifest.timestamp_start, 100);
  EXPECT_EQ(manifest.timestamp_copy_start, 101);
  EXPECT_EQ(manifest.timestamp_stop, 200);
  EXPECT_TRUE(manifest.bundle_raw);
  EXPECT_TRUE(manifest.online);
  EXPECT_EQ(manifest.compress_type, codec::CompressType::zst);
  EXPECT_EQ(manifest.version, postgres::Version::of_major(15));
  EXPECT_EQ(manifest.catalog_version, 202209061u);
  EXPECT_EQ(manifest.control_version, 1300u);
  EXPECT_EQ(manifest.database_id, 1u);
  EXPECT_EQ(manifest.system_id, 18446744073709551615u);
  EXPECT_EQ(manifest.data_passphrase.reveal(), "the pass");
  EXPECT_EQ(manifest.data_directory().path, "/var/lib/pg");
}

TEST(Manifest, ReadsEveryKeyOfAFile) {
  Text text;
  text.backup =
      "backup-label=\"20240115-020000F_20240116-020000I\"\n"
      "backup-reference=\"20240115-020000F,20240115-020000F_20240116-020000I\"\n";
  text.file =
      "pg_data/base/1/2={\"bi\":3,\"bic\":7,\"bim\":44,\"bni\":5,\"bno\":99,\"checksum\":"
      "\"1234567890123456789012345678901234567890\",\"checksum-page\":false,"
      "\"checksum-page-error\":[1,[3,5]],\"group\":\"g\",\"mode\":\"0640\",\"rck\":"
      "\"abcdefabcdefabcdefabcdefabcdefabcdefabcd\",\"reference\":\"20240115-020000F\","
      "\"repo-size\":4000,\"size\":81920,\"szo\":8192,\"timestamp\":1700000000,\"user\":false}\n";

  const Manifest manifest = read(text.text());

  ASSERT_EQ(manifest.files.size(), 1u);
  const ManifestFile& file = manifest.files[0];
  EXPECT_EQ(file.name, "pg_data/base/1/2");
  EXPECT_EQ(file.size, 81920u);
  EXPECT_EQ(file.repo_size, 4000u);
  EXPECT_EQ(file.timestamp, 1700000000);
  EXPECT_EQ(file.checksum.text(), "1234567890123456789012345678901234567890");
  EXPECT_EQ(file.reference, 0u);
  EXPECT_EQ(file.bundle_id, 5u);
  EXPECT_EQ(file.bundle_offset, 99u);
  EXPECT_EQ(file.block_map_size, 44u);
  EXPECT_EQ(file.block_size, 24576u);
  EXPECT_EQ(file.block_checksum_size, 7u);
  EXPECT_EQ(manifest.owner_of(file).user, "");
  EXPECT_EQ(manifest.owner_of(file).group, "g");
  EXPECT_EQ(file.mode, 0640);
  EXPECT_EQ(file.page_checksums_ok, false);
  EXPECT_EQ(layout::object_of("main", manifest, file), "backup/main/20240115-020000F/bundle/5");
}

TEST(Manifest, FillsInWhatAFileLeavesOut) {
  const Manifest manifest = read(Text().text());

  const ManifestFile& file = manifest.files.at(0);
  EXPECT_EQ(file.repo_size, file.size);
  EXPECT_EQ(file.reference, 0u);
  EXPECT_FALSE(file.bundled());
  EXPECT_FALSE(file.block_incremental());
  EXPECT_EQ(manifest.owner_of(file).user, "postgres");
  EXPECT_EQ(manifest.owner_of(file).group, "pg");
  EXPECT_EQ(file.mode, 0600);
  EXPECT_FALSE(file.page_checksums_ok);
  EXPECT_EQ(manifest.paths.at(0).mode, 0700);
  EXPECT_EQ(layout::object_of("main", manifest, file),
            "backup/main/20240115-020000F/pg_data/PG_VERSION.zst");
}

TEST(Manifest, GivesAnEmptyFileTheChecksumOfNothing) {
  Text text;
  text.file = "pg_data/empty={\"size\":0,\"timestamp\":1}\n";
  EXPECT_EQ(read(text.text()).files.at(0).checksum, codec::kSha1OfNothing);
}

TEST(Manifest, TakesAFileWithABlockSizeAndNoMapForAPlainOne) {
  Text text;
  text.file = file_entry("pg_data/a", "\"bi\":1");
  const Manifest manifest = read(text.text());
  EXPECT_FALSE(manifest.files.at(0).block_incremental());
  EXPECT_EQ(layout::object_of("main", manifest, manifest.files[0]),
            "backup/main/20240115-020000F/pg_data/a.zst");

  text.file = file_entry("pg_data/a", "\"bi\":1,\"bim\":9");
  const Manifest with_map = read(text.text());
  EXPECT_EQ(layout::object_of("main", with_map, with_map.files.at(0)),
            "backup/main/20240115-020000F/pg_data/a.pgbi");
}

TEST(Manifest, LeavesAnUnknownOwnerUnknownWhateverTheDefaultIs) {
  Text text;
  text.file = file_entry("pg_data/a", "\"group\":false,\"user\":false") + file_entry("pg_data/b");
  text.file_default = "group=false\nmode=\"0600\"\nuser=\"postgres\"\n";

  const Manifest manifest = read(text.text());

  EXPECT_EQ(manifest.owner_of(manifest.files.at(0)).user, "");
  EXPECT_EQ(manifest.owner_of(manifest.files.at(0)).group, "");
  EXPECT_EQ(manifest.owner_of(manifest.files.at(1)).user, "postgres");
  EXPECT_EQ(manifest.owner_of(manifest.files.at(1)).group, "");
}

TEST(Manifest, FillsInOwnersFromTheDefaultsOfTheSameKindOfEntry) {
  Text text;
  text.path = "pg_data={}\npg_data/a={\"user\":\"u\"}\npg_data/b={}\n";
  text.path_default = "group=\"of paths\"\nmode=\"0700\"\nuser=\"of paths\"\n";
  text.file = file_entry("pg_data/c", "\"user\":\"u\"") + file_entry("pg_data/d") +
              file_entry("pg_data/e", "\"user\":\"u\"");
  text.file_default = "group=\"of files\"\nmode=\"0600\"\nuser=\"of files\"\n";

  const Manifest manifest = read(text.text());

  const auto owner = [&](const auto& entry) {
    return fmt::format("{}:{}", manifest.owner_of(entry).user, manifest.owner_of(entry).group);
  };
  EXPECT_EQ(owner(manifest.paths.at(0)), "of paths:of paths");
  EXPECT_EQ(owner(manifest.paths.at(1)), "u:of paths");
  EXPECT_EQ(owner(manifest.paths.at(2)), "of paths:of paths");
  EXPECT_EQ(owner(manifest.files.at(0)), "u:of files");
  EXPECT_EQ(owner(manifest.files.at(1)), "of files:of files");
  EXPECT_EQ(owner(manifest.files.at(2)), "u:of files");
  EXPECT_EQ(manifest.owners.size(), 4u);
}

TEST(Manifest, ReadsTablespacesAndLinks) {
  Text text;
  text.target =
      "pg_data={\"path\":\"/var/lib/pg\",\"type\":\"path\"}\n"
      "pg_data/pg_hba.conf={\"file\":\"pg_hba.conf\",\"path\":\"../etc\",\"type\":\"link\"}\n"
      "pg_data/pg_wal={\"path\":\"/wal\",\"type\":\"link\"}\n"
      "pg_tblspc/16385={\"path\":\"/fast\",\"tablespace-id\":\"16385\","
      "\"tablespace-name\":\"fast\",\"type\":\"link\"}\n";
  text.link =
      "pg_data/pg_hba.conf={\"destination\":\"../etc/pg_hba.conf\"}\n"
      "pg_data/pg_tblspc/16385={\"destination\":\"/fast\",\"user\":\"u\"}\n";
  text.path = "pg_data={}\npg_tblspc={}\npg_tblspc/16385={\"mode\":\"0750\"}\n";
  text.file = file_entry("pg_data/a") + file_entry("pg_tblspc/16385/PG_15_202209061/5/1");

  const Manifest manifest = read(text.text());

  ASSERT_EQ(manifest.targets.size(), 4u);
  EXPECT_EQ(manifest.targets[1].file, "pg_hba.conf");
  EXPECT_EQ(manifest.targets[1].path, "../etc");
  EXPECT_TRUE(manifest.targets[2].is_link);
  EXPECT_EQ(manifest.targets[2].tablespace_oid, 0u);
  EXPECT_EQ(manifest.targets[3].tablespace_oid, 16385u);
  EXPECT_EQ(manifest.targets[3].tablespace_name, "fast");
  ASSERT_EQ(manifest.links.size(), 2u);
  EXPECT_EQ(manifest.links[0].destination, "../etc/pg_hba.conf");
  EXPECT_EQ(manifest.owner_of(manifest.links[0]).user, "");
  EXPECT_EQ(manifest.owner_of(manifest.links[0]).group, "pg");
  EXPECT_EQ(manifest.owner_of(manifest.links[1]).user, "u");
  EXPECT_EQ(manifest.paths.at(2).mode, 0750);
}

TEST(Manifest, BuildsTheListOfReferencesThatOldManifestsLack) {
  Text text;
  text.backup = "backup-label=\"20240115-020000F_20240118-020000I\"\n";
  text.file = file_entry("pg_data/a", "\"reference\":\"20240115-020000F_20240117-020000D\"") +
              file_entry("pg_data/b") +
              file_entry("pg_data/c", "\"reference\":\"20240115-020000F\"");

  const Manifest manifest = read(text.text());

  ASSERT_EQ(manifest.references.size(), 3u);
  EXPECT_EQ(manifest.references[0].text(), "20240115-020000F_20240117-020000D");
  EXPECT_EQ(manifest.references[1].text(), "20240115-020000F");
  EXPECT_EQ(manifest.references[2], manifest.label);
  EXPECT_EQ(manifest.files.at(0).reference, 0u);
  EXPECT_EQ(manifest.files.at(1).reference, 2u);
  EXPECT_EQ(manifest.files.at(2).reference, 1u);
}

TEST(Manifest, TakesTheOldWordForCompression) {
  Text text;
  text.option = "option-compress=true\n";
  EXPECT_EQ(read(text.text()).compress_type, codec::CompressType::gz);
  text.option = "option-compress=false\n";
  EXPECT_EQ(read(text.text()).compress_type, codec::CompressType::none);
  text.option = "option-compress=true\noption-compress-type=\"lz4\"\n";
  EXPECT_EQ(read(text.text()).compress_type, codec::CompressType::lz4);
  text.option = "option-compress-type=\"rar\"\n";
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::unsupported, "'rar'"));
}

TEST(Manifest, OrdersFilesByName) {
  Text text;
  text.file = file_entry("pg_data/b") + file_entry("pg_data/a");
  const Manifest manifest = read(text.text());
  EXPECT_EQ(manifest.files.at(0).name, "pg_data/a");
  EXPECT_EQ(manifest.files.at(1).name, "pg_data/b");
}

TEST(Manifest, LivesOnWhenItIsMoved) {
  Manifest first = read(Text().text());
  const Manifest second = std::move(first);
  EXPECT_EQ(second.files.at(0).name, "pg_data/PG_VERSION");
  EXPECT_EQ(second.owner_of(second.files.at(0)).user, "postgres");
}

struct BadEntry {
  const char* name;
  std::string entry;
  const char* part;
};

std::string deep(int parts) {
  std::string path;
  for (int i = 0; i < parts; ++i) path += "/x";
  return path;
}

class BadFile : public testing::TestWithParam<BadEntry> {};

TEST_P(BadFile, IsRefusedByName) {
  Text text;
  text.file = file_entry("pg_data/good") + GetParam().entry;
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::corrupt, GetParam().part));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadFile,
    testing::Values(
        BadEntry{"out_of_it", file_entry("pg_data/../../etc/passwd"), "pg_data/../../etc/passwd"},
        BadEntry{"to_itself", file_entry("pg_data/./x"), "plain parts"},
        BadEntry{"absolute", file_entry("/etc/passwd"), "[target:file] /etc/passwd"},
        BadEntry{"elsewhere", file_entry("etc/passwd"), "not below pg_data/"},
        BadEntry{"no_slash", file_entry("pg_dataX"), "not below pg_data/"},
        BadEntry{"empty_part", file_entry("pg_data//x"), "plain parts"},
        BadEntry{"slash_at_end", file_entry("pg_data/x/"), "plain parts"},
        BadEntry{"the_directory_itself", file_entry("pg_data"), "not below pg_data/"},
        BadEntry{"empty_name", file_entry(""), "plain parts"},
        BadEntry{"nul", file_entry(std::string("pg_data/a\0b", 11)), "plain parts"},
        BadEntry{"tablespace_without_oid", file_entry("pg_tblspc/fast/x"), "pg_tblspc/<oid>/"},
        BadEntry{"tablespace_oid_zero", file_entry("pg_tblspc/0/x"), "pg_tblspc/<oid>/"},
        BadEntry{"tablespace_itself", file_entry("pg_tblspc/16385"), "pg_tblspc/<oid>/"},
        BadEntry{"unknown_tablespace", file_entry("pg_tblspc/16385/x"),
                 "pg_tblspc/16385/x lies in a tablespace that is not in the list"},
        BadEntry{"twice", file_entry("pg_data/x") + file_entry("pg_data/x"),
                 "file pg_data/x is listed twice"},
        BadEntry{"no_size", "pg_data/x={\"timestamp\":1}\n", "pg_data/x: the size is missing"},
        BadEntry{"no_timestamp", "pg_data/x={\"size\":1}\n", "the timestamp is missing"},
        BadEntry{"no_checksum", "pg_data/x={\"size\":1,\"timestamp\":1}\n",
                 "the checksum is missing"},
        BadEntry{"negative_size", "pg_data/x={\"size\":-1,\"timestamp\":1}\n", "pg_data/x"},
        BadEntry{"size_2_63", "pg_data/x={\"size\":9223372036854775808,\"timestamp\":1}\n",
                 "below 2^63"},
        BadEntry{"size_2_64", "pg_data/x={\"size\":18446744073709551616,\"timestamp\":1}\n",
                 "below 2^64"},
        BadEntry{"size_as_text", "pg_data/x={\"size\":\"1\",\"timestamp\":1}\n", "whole number"},
        BadEntry{"negative_repo_size", file_entry("pg_data/x", "\"repo-size\":-5"), "pg_data/x"},
        BadEntry{"place_overflows",
                 file_entry("pg_data/x", "\"bni\":1,\"bno\":9223372036854775800"),
                 "place in the bundle"},
        BadEntry{"bad_checksum", "pg_data/x={\"checksum\":\"12\",\"size\":1,\"timestamp\":1}\n",
                 "pg_data/x"},
        BadEntry{"map_without_block_size", file_entry("pg_data/x", "\"bim\":1"), "no block size"},
        BadEntry{"map_larger_than_file", file_entry("pg_data/x", "\"bi\":1,\"bim\":8193"),
                 "larger than the stored file"},
        BadEntry{"stored_size_of_another_file",
                 file_entry("pg_data/x", "\"repo-size\":9223372036854775807"),
                 "pg_data/x: the stored size is larger"},
        BadEntry{"map_of_another_file",
                 "pg_data/x={\"bi\":1,\"bim\":8193,\"checksum\":\"" + codec::kSha1OfNothing.text() +
                     "\",\"repo-size\":9000,\"size\":8192,\"timestamp\":1}\n",
                 "pg_data/x: the block map is larger than that"},
        BadEntry{"long_part", file_entry("pg_data/" + std::string(256, 'x')), "longer than any"},
        BadEntry{"long_name", file_entry("pg_data" + deep(2100)), "longer than any"},
        BadEntry{"below_a_file", file_entry("pg_data/x") + file_entry("pg_data/x/y"),
                 "pg_data/x/y lies below the file pg_data/x"},
        BadEntry{"block_size_zero", file_entry("pg_data/x", "\"bi\":0"), "block size"},
        BadEntry{"block_size_huge", file_entry("pg_data/x", "\"bi\":4294967296"), "block size"},
        BadEntry{"no_block_checksum", file_entry("pg_data/x", "\"bi\":1,\"bic\":0"),
                 "block checksums"},
        BadEntry{"long_block_checksum", file_entry("pg_data/x", "\"bi\":1,\"bic\":17"),
                 "block checksums"},
        BadEntry{"bad_mode", file_entry("pg_data/x", "\"mode\":\"rw\""), "'rw' is not a file mode"},
        BadEntry{"large_mode", file_entry("pg_data/x", "\"mode\":\"10000\""), "not a file mode"},
        BadEntry{"user_true", file_entry("pg_data/x", "\"user\":true"), "expected a string"},
        BadEntry{"unknown_reference", file_entry("pg_data/x", "\"reference\":\"20200101-000000F\""),
                 "file pg_data/x refers to backup 20200101-000000F"},
        BadEntry{"reference_is_a_path", file_entry("pg_data/x", "\"reference\":\"../other\""),
                 "is not a backup label"}),
    [](const auto& test) { return test.param.name; });

TEST(Manifest, RefusesBadTargetsPathsAndLinks) {
  const std::string data = "pg_data={\"path\":\"/pg\",\"type\":\"path\"}\n";
  const auto with_target = [&](const std::string& target) {
    Text text;
    text.target = target;
    return text.text();
  };
  EXPECT_THAT([&] { read(with_target("pg_data/x={\"path\":\"/x\",\"type\":\"link\"}\n")); },
              throws(ErrorKind::corrupt, "where PGDATA was"));
  EXPECT_THAT([&] { read(with_target("pg_data={\"type\":\"path\"}\n")); },
              throws(ErrorKind::corrupt, "the path is missing"));
  EXPECT_THAT([&] { read(with_target("pg_data={\"path\":\"/pg\",\"type\":\"pipe\"}\n")); },
              throws(ErrorKind::corrupt, "neither path nor link"));
  EXPECT_THAT([&] { read(with_target(data + data)); },
              throws(ErrorKind::corrupt, "target pg_data is listed twice"));
  EXPECT_THAT(
      [&] {
        read(with_target(
            data + "pg_tblspc/1={\"path\":\"/x\",\"tablespace-id\":\"2\",\"type\":\"link\"}\n"));
      },
      throws(ErrorKind::corrupt, "not the one in the name"));
  EXPECT_THAT(
      [&] { read(with_target(data + "pg_tblspc/1={\"path\":\"/x\",\"type\":\"link\"}\n")); },
      throws(ErrorKind::corrupt, "not the one in the name"));
  EXPECT_THAT(
      [&] {
        read(with_target(data +
                         "pg_data/a={\"file\":\"../b\",\"path\":\"/x\",\"type\":\"link\"}\n"));
      },
      throws(ErrorKind::corrupt, "not a plain name"));

  Text bad_path;
  bad_path.path = "pg_data={}\npg_data/../x={}\n";
  EXPECT_THAT([&] { read(bad_path.text()); }, throws(ErrorKind::corrupt, "pg_data/../x"));
  bad_path.path = "pg_data={}\npg_data/PG_VERSION={}\n";
  EXPECT_THAT([&] { read(bad_path.text()); },
              throws(ErrorKind::corrupt, "pg_data/PG_VERSION is a file and a directory"));
  bad_path.path = "pg_data={}\npg_data/PG_VERSION/x={}\n";
  EXPECT_THAT([&] { read(bad_path.text()); },
              throws(ErrorKind::corrupt, "pg_data/PG_VERSION/x lies below the file"));
  Text in_place_of_link;
  in_place_of_link.target =
      data + "pg_tblspc/1={\"path\":\"/x\",\"tablespace-id\":\"1\",\"type\":\"link\"}\n";
  in_place_of_link.file = file_entry("pg_data/pg_tblspc/1");
  EXPECT_THAT([&] { read(in_place_of_link.text()); },
              throws(ErrorKind::corrupt, "pg_data/pg_tblspc/1 is a file and the link"));
  Text bad_link;
  bad_link.link = "pg_tblspc/1={\"destination\":\"/x\"}\n";
  EXPECT_THAT([&] { read(bad_link.text()); }, throws(ErrorKind::corrupt, "not below pg_data/"));
  bad_link.link = "pg_data/x={\"destination\":\"\\u0000\"}\n";
  EXPECT_THAT([&] { read(bad_link.text()); }, throws(ErrorKind::corrupt, "not a path"));
  bad_link.link = "pg_data/x={}\n";
  EXPECT_THAT([&] { read(bad_link.text()); }, throws(ErrorKind::corrupt, "destination is missing"));
}

TEST(Manifest, RefusesReferencesToWhatCannotBeNeeded) {
  Text text;
  text.backup =
      "backup-label=\"20240115-020000F\"\n"
      "backup-reference=\"20240115-020000F_20240116-020000I,20240115-020000F\"\n";
  EXPECT_THAT(
      [&] { read(text.text()); },
      throws(ErrorKind::corrupt, "cannot refer to backup 20240115-020000F_20240116-020000I"));
  text.backup =
      "backup-label=\"20240115-020000F_20240116-020000I\"\n"
      "backup-reference=\"20230115-020000F,20240115-020000F_20240116-020000I\"\n";
  EXPECT_THAT([&] { read(text.text()); },
              throws(ErrorKind::corrupt, "cannot refer to backup 20230115-020000F"));
}

TEST(Manifest, TakesNoModeThatLetsAFileRunAsItsOwner) {
  Text text;
  text.file = file_entry("pg_data/x", "\"mode\":\"6755\"");
  EXPECT_EQ(read(text.text()).files.front().mode, 0755);
}

TEST(Manifest, RefusesOneThatDoesNotSayWhatItIsOf) {
  Text text;
  text.backup = "backup-timestamp-start=1\n";
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::corrupt, "which backup"));
  text = {};
  text.backup = "backup-label=\"20240115-020000F\"\nbackup-reference=\"20230115-020000F\"\n";
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::corrupt, "does not end in"));
  text = {};
  text.db = "db-id=1\n";
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::corrupt, "PostgreSQL version"));
  text = {};
  text.file = "";
  EXPECT_THAT([&] { read(text.text()); }, throws(ErrorKind::corrupt, "lists no files"));
  text = {};
  text.file_default = "user=\"postgres\"\n";
  EXPECT_THAT([&] { read(text.text()); },
              throws(ErrorKind::corrupt, "pg_data/PG_VERSION has no mode"));
}

TEST(Manifest, ReadsManyFilesFromAStream) {
  constexpr std::size_t kFiles = 100'000;
  Text text;
  text.backup =
      "backup-label=\"20240115-020000F_20240116-020000I\"\n"
      "backup-reference=\"20240115-020000F,20240115-020000F_20240116-020000I\"\n";
  text.file.clear();
  for (std::size_t i = 0; i < kFiles; ++i) {
    text.file += fmt::format(
        "pg_data/base/5/{:08}={{\"bni\":{},\"bno\":{},\"checksum\":\"{:040x}\",{}\"size\":{},"
        "\"timestamp\":1700000000}}\n",
        i, 1 + i / 100, i % 100 * 8192, i, i % 2 == 0 ? "\"reference\":\"20240115-020000F\"," : "",
        i + 1);
  }
  const std::string whole = text.text();
  Manifest manifest;
  const auto reader = make_manifest_reader("a.manifest", manifest);
  for (std::size_t at = 0; at < whole.size(); at += 65'000)
    reader->write(as_bytes(std::string_view(whole).substr(at, 65'000)));
  reader->finish();

  ASSERT_EQ(manifest.files.size(), kFiles);
  EXPECT_EQ(manifest.owners.size(), 2u);
  // Each file and its name, and not much more.
  EXPECT_GE(manifest.memory(), kFiles * (sizeof(ManifestFile) + 23));
  EXPECT_LE(manifest.memory(), kFiles * (sizeof(ManifestFile) + 23) + (1u << 20));
  for (std::size_t i = 0; i < kFiles; ++i) {
    const ManifestFile& file = manifest.files[i];
    ASSERT_EQ(file.name, fmt::format("pg_data/base/5/{:08}", i));
    ASSERT_EQ(file.checksum.text(), fmt::format("{:040x}", i));
    ASSERT_EQ(file.reference, i % 2);
    ASSERT_EQ(file.bundle_id, 1 + i / 100);
    ASSERT_EQ(file.bundle_offset, i % 100 * 8192);
    ASSERT_EQ(file.size, i + 1);
    ASSERT_EQ(manifest.owner_of(file).user, "postgres");
  }
}

TEST(Manifest, ReadsOneOfPgBackRestWhole) {
  const Manifest manifest = read(read_file(std::string(TEST_DATA_DIR) +
                                           "/repository/pg15-lz4/backup/main/"
                                           "20261122-071340F_20261122-071349I/backup.manifest"));

  EXPECT_EQ(manifest.files.size(), 1592u);
  EXPECT_EQ(manifest.references.size(), 3u);
  std::uint64_t total = 0;
  std::size_t block_incremental = 0;
  for (const auto& file : manifest.files) {
    total += file.size;
    block_incremental += file.block_incremental() ? 1 : 0;
  }
  EXPECT_EQ(total, 62569419u);  // backup-info-size of backup.info
  EXPECT_EQ(block_incremental, 662u);
  EXPECT_EQ(manifest.databases.size(), 5u);
  EXPECT_EQ(manifest.databases[0].name, "odd name \u00fc");
  EXPECT_EQ(manifest.databases[0].oid, 16385u);
  EXPECT_EQ(manifest.targets.at(1).tablespace_name, "fast");
  EXPECT_EQ(manifest.links.at(0).name, "pg_data/pg_tblspc/16387");
}

}  // namespace
}  // namespace pgrevive::repository
