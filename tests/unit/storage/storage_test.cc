#include "storage/storage.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include <gmock/gmock.h>

#include "storage/posix.h"
#include "storage/s3/s3.h"
#include "support/memory_storage.h"
#include "support/s3_storage_server.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::storage {
namespace {

using test::throws;
using testing::ElementsAre;

// What every Storage promises, run against each of them: a fake that drifted from the real thing
// would make the tests above it worthless.

// A repository that a test can fill, and the Storage that reads it.
struct Place {
  std::function<void(const std::string& path, const std::string& text)> put;
  std::unique_ptr<Storage> storage;
  std::shared_ptr<void> keep;  // the server or directory behind it
};

Place memory_place() {
  auto storage = std::make_unique<test::MemoryStorage>();
  auto* raw = storage.get();
  return {.put = [raw](const auto& path, const auto& text) { raw->put(path, text); },
          .storage = std::move(storage)};
}

Place posix_place() {
  auto directory = std::make_shared<test::TempDir>();
  return {.put =
              [directory](const auto& path, const auto& text) {
                const auto file = *directory / path;
                std::filesystem::create_directories(file.parent_path());
                std::ofstream(file) << text;
              },
          .storage = open_posix(directory->path()),
          .keep = directory};
}

Place s3_place() {
  // Pages of three, so that most lists have several.
  auto server = std::make_shared<test::BucketServer>("bucket", 3);
  return {.put = [server](const auto& path,
                          const auto& text) { server->put("repo/path/" + path, text); },
          .storage = open_s3({.bucket = "bucket",
                              .prefix = "/repo/path/",
                              .endpoint = server->server().endpoint(),
                              .region = "us-east-1",
                              .access_key = Secret("key"),
                              .secret_key = Secret("secret")}),
          .keep = server};
}

struct Maker {
  const char* name;
  Place (*make)();
};

class StorageContract : public testing::TestWithParam<Maker> {
 protected:
  std::string read(const std::string& path, std::optional<Range> range = {}) {
    MemorySink sink;
    place_.storage->read(path, range, sink);
    EXPECT_FALSE(sink.finished()) << "the sink is the caller's to finish";
    return std::string(as_text(sink.bytes()));
  }

  std::vector<std::string> names(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : place_.storage->list(directory)) {
      names.push_back(entry.name + (entry.directory ? "/" : ""));
    }
    return names;
  }

  Place place_ = GetParam().make();
};

TEST_P(StorageContract, ReadsAWholeObject) {
  place_.put("backup/main/backup.info", "hello");

  EXPECT_EQ(read("backup/main/backup.info"), "hello");
}

TEST_P(StorageContract, ReadsALargeObject) {
  std::string text;
  for (int i = 0; text.size() < (3u << 20); ++i) text += std::to_string(i) + ",";
  place_.put("a", text);

  EXPECT_TRUE(read("a") == text);
  EXPECT_TRUE(read("a", Range{.offset = 1'000'001, .length = 2'000'000}) ==
              text.substr(1'000'001, 2'000'000));
}

TEST_P(StorageContract, ReadsAnEmptyObject) {
  place_.put("empty", "");

  EXPECT_EQ(read("empty"), "");
  EXPECT_EQ(place_.storage->stat("empty"), 0U);
  EXPECT_EQ(read("empty", Range{.offset = 0, .length = 0}), "");
}

TEST_P(StorageContract, ReadsARange) {
  place_.put("digits", "0123456789");

  EXPECT_EQ(read("digits", Range{.offset = 3, .length = 4}), "3456");
  EXPECT_EQ(read("digits", Range{.offset = 0, .length = 10}), "0123456789");
  EXPECT_EQ(read("digits", Range{.offset = 9, .length = 1}), "9");
  EXPECT_EQ(read("digits", Range{.offset = 10, .length = 0}), "");
}

TEST_P(StorageContract, ARangeBeyondTheEndIsCorruption) {
  place_.put("digits", "0123456789");

  for (const Range range : {Range{5, 6}, Range{10, 1}, Range{11, 1}, Range{11, 0}, Range{0, 11}}) {
    EXPECT_THAT([&] { read("digits", range); }, throws(ErrorKind::corrupt, "digits"))
        << range.offset << " " << range.length;
  }
}

TEST_P(StorageContract, AnAbsentObjectIsNotFoundAndNamedInFull) {
  const std::string name = place_.storage->describe("no/such");

  EXPECT_THAT([&] { read("no/such"); }, throws(ErrorKind::not_found, name));
  EXPECT_THAT([&] { read("no/such", Range{.offset = 1, .length = 1}); },
              throws(ErrorKind::not_found, name));
  EXPECT_THAT([&] { read("no/such", Range{.offset = 0, .length = 0}); },
              throws(ErrorKind::not_found, name));
}

TEST_P(StorageContract, StatGivesTheSizeOrNothing) {
  place_.put("a/file", "12345");

  EXPECT_EQ(place_.storage->stat("a/file"), 5U);
  EXPECT_EQ(place_.storage->stat("a/other"), std::nullopt);
  EXPECT_EQ(place_.storage->stat("a"), std::nullopt) << "a directory is no object";
  EXPECT_EQ(place_.storage->stat("a/file/below"), std::nullopt);
}

TEST_P(StorageContract, ListsOneLevelInOrder) {
  for (const char* path : {"d/b", "d/a", "d/sub/x", "d/sub/y", "d/z.gz", "d/B", "d/a-1/x", "e/f"}) {
    place_.put(path, path);
  }

  EXPECT_THAT(names("d"), ElementsAre("B", "a", "a-1/", "b", "sub/", "z.gz"));
  EXPECT_THAT(names(""), ElementsAre("d/", "e/"));
  EXPECT_EQ(place_.storage->list("d").at(0).size, 3U);
}

TEST_P(StorageContract, AnAbsentDirectoryIsEmpty) {
  place_.put("archive/x", "");

  EXPECT_THAT(names("no/such"), ElementsAre());
  EXPECT_THAT(names("arch"), ElementsAre()) << "a part of a name is no directory";
  EXPECT_THAT(names("archive/x"), ElementsAre());
}

TEST_P(StorageContract, AnEmptyRepositoryIsEmpty) { EXPECT_THAT(names(""), ElementsAre()); }

TEST_P(StorageContract, TakesNamesWithAnyCharacter) {
  const std::vector<std::string> odd = {"a b",    "a+b",      "a%2Fb",      "a=b&c",
                                        "ünï-日", "x#y?z",    "semi;",      "q\"t'",
                                        "<xml>",  "$:@,!*()", "back\\slash"};
  for (const auto& name : odd) place_.put("odd dir+/" + name, name);

  EXPECT_THAT(names("odd dir+"), testing::UnorderedElementsAreArray(odd));
  for (const auto& name : odd) {
    EXPECT_EQ(read("odd dir+/" + name), name);
    EXPECT_EQ(place_.storage->stat("odd dir+/" + name), name.size()) << name;
  }
}

TEST_P(StorageContract, WhatTheSinkThrowsPassesThrough) {
  place_.put("a", std::string(100'000, 'x'));
  class Full : public Sink {
   public:
    void write(ByteView) override { throw Error(ErrorKind::system, "disk full"); }
    void finish() override {}
  } full;

  EXPECT_THAT([&] { place_.storage->read("a", {}, full); }, throws(ErrorKind::system, "disk full"));
  EXPECT_EQ(read("a").size(), 100'000U) << "and the storage stays usable";
}

TEST_P(StorageContract, ReadAllHasALimit) {
  place_.put("a", "12345");

  EXPECT_EQ(as_text(read_all(*place_.storage, "a", 5)), "12345");
  EXPECT_THAT([&] { read_all(*place_.storage, "a", 4); },
              throws(ErrorKind::corrupt, place_.storage->describe("a")));
}

TEST_P(StorageContract, AnyThreadMayCall) {
  for (int i = 0; i < 8; ++i) place_.put("t/" + std::to_string(i), std::string(10'000, 'a'));
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        EXPECT_NO_THROW({
          for (int i = 0; i < 8; ++i) EXPECT_EQ(read("t/" + std::to_string(i)).size(), 10'000U);
          EXPECT_EQ(names("t").size(), 8U);
        });
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, StorageContract,
                         testing::Values(Maker{"memory", memory_place}, Maker{"posix", posix_place},
                                         Maker{"s3", s3_place}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::storage
