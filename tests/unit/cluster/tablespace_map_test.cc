#include "cluster/tablespace_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

using test::throws;
using testing::ElementsAre;
using testing::Pair;

TablespaceMap map_of(std::vector<TablespaceMap::Entry> entries, std::filesystem::path all = {}) {
  return {.entries = std::move(entries), .all = std::move(all)};
}

std::vector<repository::ManifestTarget> targets() {
  return {{.name = "pg_data", .path = "/source/data"},
          {.name = "pg_tblspc/16385", .tablespace_oid = 16385, .tablespace_name = "fast"},
          {.name = "pg_tblspc/16390", .tablespace_oid = 16390, .tablespace_name = "cold"}};
}

std::string place(const TablespaceMap& map, const std::string& node, std::uint32_t oid,
                  const std::string& name, const std::vector<std::filesystem::path>& taken = {}) {
  return map.place_of("shop", node, oid, name, taken).value_or("").string();
}

TEST(TablespaceMap, GivesEachNodeAPlaceOfItsOwn) {
  const auto map = map_of({{"", "fast", "/ssd"}, {"", "16390", "/disk"}});
  EXPECT_EQ(place(map, "primary", 16385, "fast"), "/ssd/shop-primary/fast");
  EXPECT_EQ(place(map, "replica", 16385, "fast"), "/ssd/shop-replica/fast");
  EXPECT_EQ(place(map, "primary", 16390, "cold"), "/disk/shop-primary/cold");
  EXPECT_EQ(place(map, "primary", 17000, "other"), "");
}

TEST(TablespaceMap, LetsAnEntryOfANodeCountBeforeOneOfEach) {
  for (const bool first : {true, false}) {
    std::vector<TablespaceMap::Entry> entries = {{"", "fast", "/ssd"}};
    entries.insert(first ? entries.begin() : entries.end(), {"replica", "fast", "/disk"});
    const auto map = map_of(entries, "/srv");
    EXPECT_EQ(place(map, "primary", 16385, "fast"), "/ssd/shop-primary/fast");
    EXPECT_EQ(place(map, "replica", 16385, "fast"), "/disk/shop-replica/fast");
    EXPECT_EQ(place(map, "replica", 16390, "cold"), "/srv/shop-replica/cold");
  }
}

TEST(TablespaceMap, TakesNoPlaceOfAnotherNodeAndNoNameThatLeadsAway) {
  const auto map = map_of({}, "/srv");
  EXPECT_EQ(place(map, "replica", 1, "fast", {"/srv/shop-replica/fast"}),
            "/srv/shop-replica.2/fast");
  EXPECT_EQ(
      place(map, "replica", 1, "fast", {"/srv/shop-replica/fast", "/srv/shop-replica.2/fast"}),
      "/srv/shop-replica.3/fast");
  EXPECT_EQ(place(map, "replica", 16385, ".."), "/srv/shop-replica/16385");
  EXPECT_EQ(place(map, "replica", 16385, "a/b"), "/srv/shop-replica/16385");
}

TEST(TablespaceMap, TellsARestoreByOid) {
  EXPECT_THAT(mapped_tablespaces(map_of({{"", "cold", "/disk"}}), "shop", "primary", targets(), {}),
              ElementsAre(Pair("16390", "/disk/shop-primary/cold")));
}

TEST(TablespaceMap, RefusesWhatTheBackupDoesNotHave) {
  check_tablespaces(map_of({{"", "fast", "/a"}, {"replica", "16385", "/b"}}), targets());
  EXPECT_THAT(
      [] {
        check_tablespaces(map_of({{"", "16386", "/a"}}), targets());
      },
      throws(ErrorKind::usage, "has no tablespace 16386"));
  try {
    check_tablespaces(map_of({{"", "slow", "/a"}}), targets());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "it has 16385 (fast), 16390 (cold)");
  }
}

TEST(TablespaceMap, RefusesOneThatIsNamedTwice) {
  EXPECT_THAT(
      [] {
        check_tablespaces(map_of({{"", "fast", "/a"}, {"", "16385", "/b"}}), targets());
      },
      throws(ErrorKind::usage, "names one tablespace twice: fast and 16385"));
}

TEST(TablespaceMap, RefusesDirectoriesThatAreAbsentOrSomebodys) {
  const test::TempDir root;
  const auto check = [&](const std::filesystem::path& directory) {
    check_directories(map_of({}, directory), root / "cluster", root / "repository");
  };
  for (const auto* name : {"cluster/primary", "repository/backup", "ssd"})
    make_directories(root / name);
  check(root / "ssd");
  EXPECT_THAT([&] { check(root / "mount"); },
              throws(ErrorKind::not_found, "mount, for tablespaces, is not there"));
  write_file_atomic(root / "file", "");
  EXPECT_THAT([&] { check(root / "file"); }, throws(ErrorKind::not_found, "is no directory"));
  EXPECT_THAT([&] { check(root / "cluster/primary"); }, throws(ErrorKind::usage, "cluster's own"));
  EXPECT_THAT([&] { check(root / "repository/backup"); },
              throws(ErrorKind::usage, "lies in the repository"));
}

}  // namespace
}  // namespace pgrevive::cluster
