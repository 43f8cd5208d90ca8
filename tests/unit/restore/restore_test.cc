#include "restore/restore.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres/control_file.h"
#include "restore/owners.h"
#include "support/real_server.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "unit/restore/repository_builder.h"

namespace pgrevive::restore {
namespace {

namespace fs = std::filesystem;
using test::noise;
using test::RepositoryBuilder;
using test::TamperedStorage;
using testing::HasSubstr;

class Listener : public Observer {
 public:
  void message(const std::string& text) override { messages.push_back(text); }
  void warning(const Notice& notice) override { warnings.push_back(notice.text); }
  void progress(const Progress& progress) override { last = progress; }

  std::vector<std::string> messages;
  std::vector<std::string> warnings;
  Progress last;
};

class RestoreTest : public testing::Test {
 protected:
  Options options(unsigned jobs = 2) {
    Options made;
    for (const auto* name : {"primary", "replica"}) {
      made.nodes.push_back({.name = name,
                            .data_directory = root_ / name,
                            .tablespace_map = {},
                            .tablespace_root = root_ / (std::string(name) + "-ts")});
    }
    made.jobs = jobs;
    made.requests = 4;
    return made;
  }

  Summary run(const Options& options, std::stop_token stop = {}) {
    listener_ = {};
    return restore(builder_.repository(), builder_.manifest, options, listener_, stop);
  }

  // Where the file of a manifest name is on a node.
  fs::path path_of(const std::string& node, std::string_view name) {
    if (name.starts_with("pg_data/")) return root_ / node / name.substr(8);
    const auto rest = name.substr(std::string_view("pg_tblspc/16385/").size());
    return root_ / (node + "-ts") / "fast" / rest;
  }

  void expect_equal_to_the_backup(const std::vector<std::string>& nodes = {"primary", "replica"}) {
    for (const auto& node : nodes) {
      std::size_t files = 0;
      for (const auto* directory : {"", "-ts"}) {
        const auto root = root_ / (node + directory);
        if (!fs::exists(root)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root)) {
          files += entry.is_regular_file() && !entry.is_symlink() ? 1 : 0;
        }
      }
      EXPECT_EQ(files, builder_.contents.size()) << node;
      for (const auto& [name, text] : builder_.contents) {
        const auto path = path_of(node, name);
        auto expected = text;
        if (name == "pg_data/global/pg_control" && builder_.manifest.online) {
          expected = as_text(postgres::spoil_checkpoint(as_bytes(text)));
        }
        EXPECT_TRUE(read_file_if_exists(path) == expected) << path;
        const auto& file = builder_.file(name);
        struct stat entry {};
        ASSERT_EQ(::lstat(path.c_str(), &entry), 0) << path;
        EXPECT_EQ(entry.st_mode & 07777u, file.mode) << path;
        EXPECT_EQ(entry.st_mtime, file.timestamp) << path;
      }
      EXPECT_EQ(inspect_directory(root_ / node), DirectoryState::complete);
    }
  }

  void expect_interrupted(const std::string& node) {
    EXPECT_EQ(inspect_directory(root_ / node), DirectoryState::interrupted);
    EXPECT_EQ(interrupted_label(root_ / node), builder_.manifest.label.text());
    EXPECT_FALSE(fs::exists(root_ / node / "global/pg_control"));
  }

  std::size_t requests() { return builder_.storage->objects.take_reads().size(); }

  // Changes the bytes of some reads: those of `path`, until the given number of them.
  void damage(const std::string& path, int until) {
    builder_.storage->on_read = [=](const TamperedStorage::Read& read, std::string& bytes) {
      if (read.path == path && read.number <= until) bytes[bytes.size() / 2] ^= 1;
    };
  }

  test::TempDir root_;
  RepositoryBuilder builder_;
  Listener listener_;
};

struct FormCase {
  const char* name;
  RepositoryBuilder::Form form;
};

class RestoreForms : public RestoreTest, public testing::WithParamInterface<FormCase> {
 protected:
  RestoreForms() { builder_ = RepositoryBuilder(GetParam().form); }

  void fill() {
    builder_.add_tablespace(16385, "fast");
    builder_.add_path("pg_tblspc/16385/PG_15_202209061/5");
    builder_.add("pg_data/large", noise(700'000, 1)).mode = 0640;
    builder_.add("pg_data/small.gz", "a user's file may be called that");
    builder_.add("pg_data/empty", "");
    builder_.add("pg_data/tablespace_map", "16385 /source/fast\n");
    builder_.contents.erase("pg_data/tablespace_map");
    builder_.add_bundle(1, {{"pg_data/base/1/10", noise(10'000, 2)},
                            {"pg_data/base/1/11", "text"},
                            {"pg_data/base/1/12", ""},
                            {"pg_tblspc/16385/PG_15_202209061/5/6", noise(500, 3)}});
    builder_.add_block_file("pg_data/base/1/20", noise(4 * RepositoryBuilder::kBlock + 100, 4),
                            true);
    builder_.add_block_file("pg_data/base/1/21", noise(4 * RepositoryBuilder::kBlock + 7000, 5),
                            false);
  }
};

TEST_P(RestoreForms, MakesEveryNodeEqualToTheBackup) {
  fill();

  const auto summary = run(options());

  expect_equal_to_the_backup();
  for (const std::string node : {"primary", "replica"}) {
    EXPECT_EQ(fs::read_symlink(root_ / node / "pg_tblspc/16385"), root_ / (node + "-ts") / "fast");
  }
  EXPECT_EQ(summary.progress.files_done, builder_.contents.size());
  EXPECT_EQ(summary.progress.files_total, builder_.contents.size());
  EXPECT_EQ(summary.progress.bytes_done, summary.progress.bytes_total);
  EXPECT_EQ(summary.progress.requests, requests());
  EXPECT_EQ(listener_.last.files_done, summary.progress.files_done);
  EXPECT_TRUE(summary.warnings.empty());
}

// More files than a worker has on its way at a time, of sizes around those of blocks and pages.
TEST_P(RestoreForms, ManyFilesOfAllSizesAreMadeSideBySide) {
  unsigned seed = 0;
  for (const std::size_t size :
       {1u, 8192u, 65'535u, 65'536u, 65'537u, 1'048'575u, 1'048'576u, 1'048'577u, 3'200'000u}) {
    for (int i = 0; i < 3; ++i) {
      const auto name = fmt::format("pg_data/base/1/{}_{}", size, i);
      builder_.add(name, noise(size, ++seed));
    }
  }
  builder_.add("pg_data/base/1/zeros", std::string(5u << 20, '\0'));  // much comes at once

  run(options());

  expect_equal_to_the_backup();
}

TEST_P(RestoreForms, WorksWithAlmostNoMemoryAndOneThreadOfEachKind) {
  fill();
  auto little = options(1);
  little.requests = 1;
  little.memory = 1;

  run(little);

  expect_equal_to_the_backup();
}

INSTANTIATE_TEST_SUITE_P(
    All, RestoreForms,
    testing::Values(
        FormCase{"none", {}}, FormCase{"gz", {.compress = codec::CompressType::gz}},
        FormCase{"gz_raw", {.compress = codec::CompressType::gz, .raw = true}},
        FormCase{"lz4_raw_encrypted",
                 {.compress = codec::CompressType::lz4, .passphrase = "secret", .raw = true}},
        FormCase{"zst_encrypted", {.compress = codec::CompressType::zst, .passphrase = "secret"}},
        FormCase{"bz2", {.compress = codec::CompressType::bz2}},
        FormCase{"none_raw_encrypted", {.passphrase = "secret", .raw = true}}),
    [](const auto& test) { return std::string(test.param.name); });

// Several large files, whose blocks the threads of the pass decode.
TEST_F(RestoreTest, Bz2FilesOfManyBlocksAreRestoredAndFetchedAgainWhereTheyAreDamaged) {
  builder_ = RepositoryBuilder({.compress = codec::CompressType::bz2});
  for (unsigned i = 0; i < 3; ++i) {
    builder_.add(fmt::format("pg_data/base/1/{}", i), noise(5'000'000, i));
  }
  damage(builder_.object_of(builder_.file("pg_data/base/1/1")), 1);

  const auto summary = run(options());

  expect_equal_to_the_backup();
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_THAT(summary.warnings[0].text, HasSubstr("pg_data/base/1/1"));
}

TEST_F(RestoreTest, APlainPgControlIsPublishedOfAnOfflineBackup) {
  builder_.manifest.online = false;
  run(options());
  expect_equal_to_the_backup();
  EXPECT_EQ(read_file(root_ / "primary/global/pg_control"), RepositoryBuilder::control_file());
}

TEST_F(RestoreTest, ReadsNeighboursOfABundleOnceForAllNodes) {
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < 300; ++i) {
    members.emplace_back(fmt::format("pg_data/base/1/{}", i), noise(100, unsigned(i)));
  }
  builder_.add_bundle(1, members, /*gap=*/50);

  run(options());

  std::size_t reads = 0;
  for (const auto& read : builder_.storage->objects.take_reads()) {
    reads += read.path == builder_.bundle(0, 1) ? 1 : 0;
  }
  EXPECT_EQ(reads, 1u);
  expect_equal_to_the_backup();
}

TEST_F(RestoreTest, BytesDamagedOnTheWayAreFetchedAgain) {
  builder_.add("pg_data/large", noise(200'000, 1));
  damage(builder_.object_of(builder_.file("pg_data/large")), 1);

  const auto summary = run(options());

  expect_equal_to_the_backup();
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_THAT(summary.warnings[0].text, HasSubstr("checksum does not match"));
  EXPECT_THAT(summary.warnings[0].text, HasSubstr("pg_data/large"));
  EXPECT_EQ(summary.progress.bytes_done, summary.progress.bytes_total);
}

TEST_F(RestoreTest, OneDamagedMemberOfABundleIsFetchedAgainAlone) {
  builder_ = RepositoryBuilder({.compress = codec::CompressType::zst});
  builder_.add_bundle(1, {{"pg_data/base/1/10", noise(1000, 1)},
                          {"pg_data/base/1/11", noise(1000, 2)},
                          {"pg_data/base/1/12", noise(1000, 3)}});
  damage(builder_.bundle(0, 1), 1);

  run(options());

  expect_equal_to_the_backup();
  EXPECT_EQ(listener_.warnings.size(), 1u);
  EXPECT_THAT(listener_.warnings[0], HasSubstr("base/1/11"));
}

TEST_F(RestoreTest, DamageInTheRepositoryFailsTheRestoreAndNamesWhereItIs) {
  builder_.add_bundle(
      1, {{"pg_data/base/1/10", noise(1000, 1)}, {"pg_data/base/1/11", noise(1000, 2)}});
  damage(builder_.bundle(0, 1), 9);

  try {
    run(options());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.text(), HasSubstr("checksum does not match"));
    EXPECT_THAT(error.text(), testing::ContainsRegex("base/1/1[01] from memory:backup/main/"
                                                     "20240101-000000F/bundle/1 \\(bytes (0 to "
                                                     "1000|1000 to 2000)\\)"));
    EXPECT_THAT(error.text(), HasSubstr("another backup"));
  }
  expect_interrupted("primary");
  expect_interrupted("replica");
}

TEST_F(RestoreTest, AStreamThatIsCutInTheRepositoryIsAnError) {
  builder_ = RepositoryBuilder({.compress = codec::CompressType::gz});
  auto& file = builder_.add("pg_data/large", noise(200'000, 1));
  file.repo_size -= 10;

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, "pg_data/large"));
}

TEST_F(RestoreTest, AnObjectShorterThanTheManifestSaysIsAnError) {
  auto& file = builder_.add("pg_data/large", noise(200'000, 1));
  file.repo_size += 10;

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, "pg_data/large"));
}

TEST_F(RestoreTest, AFileLongerThanTheManifestSaysDoesNotFillTheDisk) {
  builder_ = RepositoryBuilder({.compress = codec::CompressType::gz});
  builder_.add("pg_data/bomb", std::string(50'000'000, 'x')).size = 1000;

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, "longer than the 1000"));
  EXPECT_LE(fs::file_size(root_ / "primary/bomb"), 1000u);
}

TEST_F(RestoreTest, AMissingObjectIsNamedAndNotAskedForAgain) {
  auto& file = builder_.add("pg_data/gone", "x");
  builder_.storage->objects.remove(builder_.object_of(file));

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::not_found, "pg_data/gone"));
  EXPECT_TRUE(listener_.warnings.empty());
  expect_interrupted("primary");
}

class RestoreBlockFiles : public RestoreTest, public testing::WithParamInterface<bool> {
 protected:
  RestoreBlockFiles() {
    builder_ = RepositoryBuilder(
        {.compress = codec::CompressType::lz4, .passphrase = "secret", .raw = true});
    builder_.add_block_file(kName, noise(4 * RepositoryBuilder::kBlock + 100, 4), GetParam());
  }
  static constexpr const char* kName = "pg_data/base/1/20";
};

TEST_P(RestoreBlockFiles, AreFetchedAgainWhereTheMapIsDamaged) {
  damage(builder_.object_of(builder_.file(kName)), 1);
  run(options());
  expect_equal_to_the_backup();
  EXPECT_EQ(listener_.warnings.size(), 1u);
}

TEST_P(RestoreBlockFiles, AreFetchedAgainWhereABlockOfAnotherBackupIsDamaged) {
  damage(builder_.full_object, 1);
  const auto summary = run(options());
  expect_equal_to_the_backup();
  EXPECT_EQ(listener_.warnings.size(), 1u);
  EXPECT_EQ(summary.progress.bytes_done, summary.progress.bytes_total);
}

TEST_P(RestoreBlockFiles, FailWhereABlockOfAnotherBackupStaysDamaged) {
  damage(builder_.full_object, 1000);
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, builder_.full_object));
  expect_interrupted("primary");
}

TEST_P(RestoreBlockFiles, FailWhereTheWholeIsNotWhatTheManifestSays) {
  builder_.file(kName).checksum = codec::Sha1::of(as_bytes("something else"));
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, "checksum does not match"));
}

TEST_P(RestoreBlockFiles, FailWhereTheMapHasTooFewBlocks) {
  builder_.file(kName).size += RepositoryBuilder::kBlock;
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt, kName));
}

INSTANTIATE_TEST_SUITE_P(All, RestoreBlockFiles, testing::Bool(), [](const auto& test) {
  return test.param ? "bundled" : "objects_of_their_own";
});

TEST_F(RestoreTest, WhatAStoppedRestoreHasDoneIsNotFetchedAgain) {
  for (int i = 0; i < 80; ++i) {
    builder_.add(fmt::format("pg_data/base/1/{}", 100 + i), noise(1000, unsigned(i)));
  }
  // The 60th request makes the signal come, and waits until it has.
  std::stop_source source;
  std::atomic<int> reads{0};
  builder_.storage->on_read = [&](const TamperedStorage::Read&, std::string&) {
    if (++reads == 60) source.request_stop();
  };
  auto one = options(1);
  one.requests = 1;

  EXPECT_THAT([&] { run(one, source.get_token()); },
              test::throws(ErrorKind::cancelled, "run the same command again"));
  expect_interrupted("primary");
  expect_interrupted("replica");
  std::size_t complete = 0;
  for (const auto& [name, text] : builder_.contents) {
    const auto right = [&](const char* node) {
      return read_file_if_exists(path_of(node, name)) == text;
    };
    complete += right("primary") && right("replica") ? 1 : 0;
  }
  // pg_control is there as well, under another name.
  complete += fs::exists(root_ / "primary/global/pg_control.pgrevive.tmp") ? 1 : 0;
  EXPECT_GE(complete, 8u);
  requests();
  builder_.storage->on_read = nullptr;

  const auto summary = run(options());

  expect_equal_to_the_backup();
  EXPECT_EQ(listener_.messages[2], "node primary: continuing an interrupted restore");
  EXPECT_GT(summary.progress.bytes_kept, 5000u);
  EXPECT_EQ(requests(), builder_.contents.size() - complete);
}

TEST_F(RestoreTest, AStopRequestBeforeAnythingChangesOnlyTheMarker) {
  std::stop_source source;
  source.request_stop();
  EXPECT_THAT([&] { run(options(), source.get_token()); }, test::throws(ErrorKind::cancelled));
  expect_interrupted("primary");
}

TEST_F(RestoreTest, AFileThatIsRightOnOneNodeOnlyIsFetchedForTheOther) {
  builder_.add("pg_data/base/1/10", noise(1000, 1));
  builder_.add("pg_data/base/1/11", noise(1000, 2));
  run(options());
  write_file_atomic(root_ / "replica/base/1/11", noise(1000, 9));
  requests();
  auto again = options();
  again.delta = true;

  const auto summary = run(again);

  expect_equal_to_the_backup();
  EXPECT_EQ(summary.progress.bytes_done, summary.progress.bytes_total);
  EXPECT_EQ(summary.progress.bytes_kept, 1000u + 3u);
  EXPECT_EQ(requests(), 2u);  // that file and pg_control
}

TEST_F(RestoreTest, DeltaMakesADirectoryEqualWithoutFollowingLinks) {
  builder_.add("pg_data/base/1/10", noise(1000, 1));
  builder_.add("pg_data/base/1/11", noise(1000, 2));
  builder_.add("pg_data/base/1/12", "");
  run(options());
  fs::create_directory(root_ / "outside");
  write_file_atomic(root_ / "outside/precious", "precious");
  const auto data = root_ / "primary";
  fs::rename(data / "base/1", root_ / "outside/1");
  fs::create_directory_symlink(root_ / "outside/1", data / "base/1");
  fs::create_directory_symlink(root_ / "outside", data / "extra_link");
  fs::create_directories(data / "base/99/deep");
  write_file_atomic(data / "base/99/deep/file", "x");
  write_file_atomic(data / "postmaster.opts", "x");
  fs::remove(data / "PG_VERSION");
  fs::create_hard_link(root_ / "outside/precious", data / "PG_VERSION");
  ASSERT_EQ(::chmod((data / "base").c_str(), 0777), 0);
  auto again = options();
  again.nodes.pop_back();
  again.delta = true;

  run(again);

  expect_equal_to_the_backup({"primary"});
  EXPECT_FALSE(fs::exists(data / "base/99"));
  EXPECT_FALSE(fs::is_symlink(data / "base/1"));
  EXPECT_EQ(fs::status(data / "base").permissions(), fs::perms::owner_all);
  EXPECT_EQ(read_file(root_ / "outside/precious"), "precious");
  EXPECT_EQ(read_file(root_ / "outside/1/11"), noise(1000, 2));
}

TEST_F(RestoreTest, DeltaMendsAClusterThatLostItsPgControl) {
  builder_.add("pg_data/base/1/10", noise(1000, 1));
  run(options());
  fs::remove(root_ / "primary/global/pg_control");
  fs::remove(root_ / "primary/base/1/10");
  auto again = options();
  again.delta = true;

  run(again);

  expect_equal_to_the_backup({"primary", "replica"});
}

TEST_F(RestoreTest, PreservedRecoveryFilesNeitherCountAsContentNorChange) {
  builder_.add("pg_data/postgresql.auto.conf", "# of the source");
  fs::create_directories(root_ / "primary");
  write_file_atomic(root_ / "primary/postgresql.auto.conf", "port = 1234");
  write_file_atomic(root_ / "primary/standby.signal", "");
  auto preserving = options();
  preserving.nodes.resize(1);
  EXPECT_THAT([&] { run(preserving); }, test::throws(ErrorKind::target_not_empty, "primary"));
  preserving.preserve_recovery_settings = true;

  run(preserving);

  EXPECT_EQ(inspect_directory(root_ / "primary"), DirectoryState::complete);
  EXPECT_EQ(read_file(root_ / "primary/postgresql.auto.conf"), "port = 1234");
  EXPECT_TRUE(fs::exists(root_ / "primary/standby.signal"));

  preserving.delta = true;
  run(preserving);

  EXPECT_EQ(read_file(root_ / "primary/postgresql.auto.conf"), "port = 1234");
  EXPECT_TRUE(fs::exists(root_ / "primary/standby.signal"));
}

TEST_F(RestoreTest, DeltaRepairsTablespaceLinks) {
  builder_.add_tablespace(16385, "fast");
  builder_.add("pg_tblspc/16385/PG_15_202209061/1", "in the tablespace");
  run(options());
  fs::remove(root_ / "primary/pg_tblspc/16385");
  fs::create_directory_symlink(root_.path(), root_ / "primary/pg_tblspc/16385");
  write_file_atomic(root_ / "primary-ts/fast/PG_15_202209061/extra", "x");
  // Another version's part of the directory is nobody's business here.
  fs::create_directories(root_ / "primary-ts/fast/PG_14_202107181");
  write_file_atomic(root_ / "primary-ts/fast/PG_14_202107181/1", "other cluster");
  auto again = options();
  again.delta = true;

  run(again);

  EXPECT_EQ(fs::read_symlink(root_ / "primary/pg_tblspc/16385"), root_ / "primary-ts/fast");
  EXPECT_FALSE(fs::exists(root_ / "primary-ts/fast/PG_15_202209061/extra"));
  EXPECT_EQ(read_file(root_ / "primary-ts/fast/PG_14_202107181/1"), "other cluster");
}

TEST_F(RestoreTest, RefusesWhatIsNotItsToReplace) {
  fs::create_directories(root_ / "primary/precious");
  auto delta = options();
  delta.delta = true;
  EXPECT_THAT([&] { run(options()); },
              test::throws(ErrorKind::target_not_empty, "not a PostgreSQL cluster"));
  EXPECT_THAT([&] { run(delta); }, test::throws(ErrorKind::target_not_empty));
  EXPECT_TRUE(fs::exists(root_ / "primary/precious"));
  EXPECT_FALSE(fs::exists(root_ / "replica"));  // nothing was begun anywhere

  fs::remove_all(root_ / "primary");
  run(options());
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::target_not_empty, "--delta"));
  expect_equal_to_the_backup();

  fs::remove_all(root_ / "primary");
  write_file_atomic(root_ / "primary", "a file");
  EXPECT_THAT([&] { run(delta); }, test::throws(ErrorKind::target_not_empty));
}

TEST_F(RestoreTest, RefusesADirectoryThatAServerRunsOn) {
  test::RealServer server;
  server.start();
  auto delta = options();
  delta.nodes[1].data_directory = server.data_directory();
  delta.delta = true;

  EXPECT_THAT([&] { run(delta); }, test::throws(ErrorKind::busy, "a PostgreSQL server runs on"));
  EXPECT_FALSE(fs::exists(root_ / "primary"));
  EXPECT_EQ(inspect_directory(server.data_directory()), DirectoryState::complete);
}

TEST_F(RestoreTest, RefusesATablespaceDirectoryThatHoldsThisVersionAlready) {
  builder_.add_tablespace(16385, "fast");
  const auto part = root_ / "primary-ts/fast/PG_15_202209061";
  fs::create_directories(part);
  write_file_atomic(part / "1", "another cluster's");

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::target_not_empty, part.string()));
  auto delta = options();
  delta.delta = true;
  EXPECT_THAT([&] { run(delta); }, test::throws(ErrorKind::target_not_empty, part.string()));
  EXPECT_EQ(read_file(part / "1"), "another cluster's");
}

TEST_F(RestoreTest, ContinuesIntoItsOwnTablespacesOnly) {
  builder_.add_tablespace(16385, "fast");
  auto& file = builder_.add("pg_tblspc/16385/PG_15_202209061/1", "in the tablespace");
  builder_.add("pg_tblspc/16385/PG_15_202209061/2", "in the tablespace too");
  damage(builder_.object_of(file), 9);
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt));
  builder_.storage->on_read = nullptr;

  auto elsewhere = options();
  elsewhere.nodes[0].tablespace_map = {{"16385", root_ / "elsewhere"}};
  fs::create_directories(root_ / "elsewhere/PG_15_202209061");
  write_file_atomic(root_ / "elsewhere/PG_15_202209061/x", "another cluster's");
  EXPECT_THAT([&] { run(elsewhere); }, test::throws(ErrorKind::target_not_empty, "elsewhere"));

  run(options());
  expect_equal_to_the_backup();
}

TEST_F(RestoreTest, AnotherBackupCanFollowAnInterruptedOne) {
  auto& file = builder_.add("pg_data/base/1/10", noise(1000, 1));
  builder_.add("pg_data/base/1/11", noise(1000, 2));
  damage(builder_.object_of(file), 9);
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt));
  builder_.storage->on_read = nullptr;
  builder_.manifest.label = repository::BackupLabel::parse("20240101-000000F_20240103-000000I");

  run(options());

  expect_equal_to_the_backup();
  EXPECT_THAT(listener_.messages,
              testing::Contains(HasSubstr("restore of 20240101-000000F_20240102-000000I is here")));
}

TEST_F(RestoreTest, RefusesADirectoryThatAnotherRestoreIsWritingTo) {
  fs::create_directory(root_ / "replica");
  const auto held = open_file(root_ / "replica", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX | LOCK_NB), 0);

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::busy, "another restore"));
}

TEST_F(RestoreTest, TooLittleSpaceIsSaidBeforeAnythingChanges) {
  builder_.add("pg_data/base/1/10", "x").size = std::uint64_t{1} << 60;

  EXPECT_THAT([&] { run(options()); },
              test::throws(ErrorKind::system, "not enough space on the file system of"));
  EXPECT_FALSE(fs::exists(root_ / "primary"));
}

TEST_F(RestoreTest, AManifestCannotWriteOutsideOfItsDirectories) {
  for (const auto* name : {"pg_data/../evil", "pg_data/base/../../../evil", "evil", "/tmp/evil",
                           "pg_tblspc/1/PG_15_202209061/evil"}) {
    builder_ = RepositoryBuilder();
    builder_.add(name, "evil");
    EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt)) << name;
  }
  builder_ = RepositoryBuilder();
  builder_.add_path("pg_data/../evil");
  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::corrupt));
  EXPECT_FALSE(fs::exists(root_ / "evil"));
}

TEST_F(RestoreTest, ALinkPlantedWhileItRunsLeadsNowhere) {
  fs::create_directory(root_ / "outside");
  builder_.add("pg_data/base/1/10", noise(1000, 1));
  builder_.storage->on_read = [&](const TamperedStorage::Read& read, std::string&) {
    if (read.path != builder_.object_of(builder_.file("pg_data/base/1/10"))) return;
    fs::remove_all(root_ / "primary/base/1");
    fs::create_directory_symlink(root_ / "outside", root_ / "primary/base/1");
  };

  EXPECT_THAT([&] { run(options()); }, test::throws(ErrorKind::system, "primary/base/1/10"));
  EXPECT_TRUE(fs::is_empty(root_ / "outside"));
}

TEST_F(RestoreTest, WhatIsAddedBeforePublishingIsThereBeforePgControl) {
  auto with_hook = options();
  with_hook.before_publish = [&](const NodeTarget& node) {
    EXPECT_TRUE(fs::exists(node.data_directory / "PG_VERSION"));
    expect_interrupted(node.name);
    if (node.name == "replica") throw Error(ErrorKind::system, "cannot write");
  };

  EXPECT_THAT([&] { run(with_hook); }, test::throws(ErrorKind::system, "cannot write"));
  expect_interrupted("primary");
  expect_interrupted("replica");
}

TEST_F(RestoreTest, ACrashBetweenPgControlAndTheMarkerIsCompletedByTheNextRun) {
  run(options());
  write_file_atomic(root_ / "primary/pgrevive.restore", "{}");
  EXPECT_EQ(inspect_directory(root_ / "primary"), DirectoryState::interrupted);
  EXPECT_EQ(interrupted_label(root_ / "primary"), std::nullopt);
  auto again = options();
  again.nodes.pop_back();

  run(again);

  expect_equal_to_the_backup({"primary"});
}

TEST_F(RestoreTest, ABackupWithoutPgControlIsRestoredWithAWarning) {
  std::erase_if(builder_.manifest.files,
                [](const auto& file) { return file.name == "pg_data/global/pg_control"; });

  const auto summary = run(options());

  EXPECT_THAT(summary.warnings,
              testing::Contains(testing::Field(&Notice::text, HasSubstr("cannot start"))));
  EXPECT_FALSE(fs::exists(root_ / "primary/pgrevive.restore"));
  EXPECT_EQ(inspect_directory(root_ / "primary"), DirectoryState::foreign);
}

TEST_F(RestoreTest, OwnersAreTheBackupsOrTheOneNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const auto owner_of = [&](const char* path) {
    struct stat entry {};
    EXPECT_EQ(::lstat((root_ / path).c_str(), &entry), 0) << path;
    return std::pair(entry.st_uid, entry.st_gid);
  };
  fs::create_directory(root_ / "primary");
  ASSERT_EQ(::chown((root_ / "primary").c_str(), 1234, 4321), 0);
  builder_.add_tablespace(16385, "fast");
  builder_.manifest.owners.push_back({"daemon", "daemon"});
  builder_.manifest.owners.push_back({"no-such-user-here", ""});
  builder_.add("pg_data/known", "x").owner = 1;
  builder_.add("pg_data/unknown", "x").owner = 2;

  const auto summary = run(options());

  EXPECT_EQ(owner_of("primary/known"),
            std::pair(find_user("daemon").value(), find_group("daemon").value()));
  EXPECT_EQ(owner_of("primary/unknown"), (std::pair<uid_t, gid_t>(1234, 4321)));
  EXPECT_THAT(summary.warnings, testing::Contains(testing::Field(
                                    &Notice::text, HasSubstr("user no-such-user-here"))));
  EXPECT_THAT(summary.warnings, testing::Contains(testing::Field(
                                    &Notice::text, HasSubstr("does not know the group"))));

  auto named = options();
  named.delta = true;
  named.owner = Identity{.uid = 77, .gid = 78};
  run(named);
  for (const auto* path : {"primary/known", "primary", "primary/base", "primary/pg_tblspc/16385",
                           "primary-ts/fast", "replica/global/pg_control"}) {
    EXPECT_EQ(owner_of(path), (std::pair<uid_t, gid_t>(77, 78))) << path;
  }
}

TEST_F(RestoreTest, PageErrorsThatTheBackupSawAreSaid) {
  builder_.add("pg_data/base/1/10", "x").page_checksums_ok = false;

  const auto summary = run(options());

  EXPECT_THAT(summary.warnings,
              testing::Contains(testing::Field(&Notice::text, HasSubstr("base/1/10"))));
}

TEST_F(RestoreTest, ADirectoryIsToldByWhatItHolds) {
  const auto state = [&] { return inspect_directory(root_ / "x"); };
  EXPECT_EQ(state(), DirectoryState::absent);
  fs::create_directories(root_ / "x");
  EXPECT_EQ(state(), DirectoryState::empty);
  fs::create_directories(root_ / "x/lost+found");
  EXPECT_EQ(state(), DirectoryState::empty);
  fs::create_directories(root_ / "x/global");
  EXPECT_EQ(state(), DirectoryState::foreign);
  write_file_atomic(root_ / "x/PG_VERSION", "15\n");
  EXPECT_EQ(state(), DirectoryState::foreign);
  write_file_atomic(root_ / "x/global/pg_control", "");
  EXPECT_EQ(state(), DirectoryState::complete);
  write_file_atomic(root_ / "x/pgrevive.restore", "half a mar");
  EXPECT_EQ(state(), DirectoryState::interrupted);
}

}  // namespace
}  // namespace pgrevive::restore
