#include "restore/target.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::restore {
namespace {

using repository::Manifest;

class TargetTest : public testing::Test {
 protected:
  TargetTest() {
    manifest_.version = postgres::Version::of_major(15);
    manifest_.catalog_version = 202209061;
    manifest_.targets = {
        {.name = "pg_data", .path = "/source/pg"},
        {.name = "pg_tblspc/16400",
         .path = "/source/slow",
         .is_link = true,
         .tablespace_oid = 16400,
         .tablespace_name = "slow"},
        {.name = "pg_tblspc/16385",
         .path = "/source/fast",
         .is_link = true,
         .tablespace_oid = 16385,
         .tablespace_name = "fast"},
    };
  }

  NodeTarget node(const char* name) {
    return {.name = name,
            .data_directory = root_ / name,
            .tablespace_map = {},
            .tablespace_root = root_ / (std::string(name) + "-ts")};
  }

  test::TempDir root_;
  Manifest manifest_;
};

TEST_F(TargetTest, ZeroesAllOfALeftOutDatabaseButItsVersion) {
  auto layout = make_layout(manifest_, {node("a")});
  const auto zeroes = [&](const char* name) { return layout.zeroes({.name = name, .size = 8192}); };
  EXPECT_FALSE(zeroes("pg_data/base/16500/1259"));

  layout.left_out = {1, 16500};
  EXPECT_TRUE(zeroes("pg_data/base/16500/1259"));
  EXPECT_TRUE(zeroes("pg_data/base/1/pg_filenode.map"));
  EXPECT_TRUE(zeroes("pg_tblspc/16385/PG_15_202209061/16500/16600.1"));
  EXPECT_FALSE(zeroes("pg_data/base/16500/PG_VERSION"));
  EXPECT_FALSE(zeroes("pg_tblspc/16385/PG_15_202209061/16500/PG_VERSION"));
  EXPECT_FALSE(zeroes("pg_data/base/16501/1259"));
  EXPECT_FALSE(zeroes("pg_data/base/165000/1259"));
  EXPECT_FALSE(zeroes("pg_data/base/1"));
  EXPECT_FALSE(zeroes("pg_data/global/1/1259"));
  EXPECT_FALSE(zeroes("pg_tblspc/16385/PG_15_202209061/16385/1"));
}

TEST_F(TargetTest, TablespacesGoWhereTheMapSaysOrBelowTheRootOrWhereTheyWere) {
  auto mapped = node("a");
  mapped.tablespace_map = {{"16385", root_ / "x"}};
  auto by_name = node("b");
  by_name.tablespace_map = {{"slow", root_ / "y"}};
  by_name.tablespace_root.clear();

  const auto layout = make_layout(manifest_, {mapped, by_name});

  EXPECT_EQ(layout.tablespaces, (std::vector<std::uint32_t>{16385, 16400}));
  EXPECT_EQ(layout.tablespace_version, "PG_15_202209061");
  EXPECT_EQ(layout.nodes[0].roots, (std::vector<std::filesystem::path>{root_ / "a", root_ / "x",
                                                                       root_ / "a-ts" / "slow"}));
  EXPECT_EQ(layout.nodes[1].roots,
            (std::vector<std::filesystem::path>{root_ / "b", "/source/fast", root_ / "y"}));
}

TEST_F(TargetTest, ATablespaceNamedLikeAPathDoesNotBecomeOne) {
  manifest_.targets[2].tablespace_name = "../../etc";

  const auto layout = make_layout(manifest_, {node("a")});

  EXPECT_EQ(layout.nodes[0].roots[1], root_ / "a-ts" / "16385");
}

TEST_F(TargetTest, TakesManifestNamesToPlacesAndBack) {
  const auto layout = make_layout(manifest_, {node("a")});
  const auto place = [&](std::string_view name) {
    const auto found = layout.place(name);
    return found ? layout.manifest_name(found->root, found->path) : "nowhere";
  };

  for (const auto* name : {"pg_data", "pg_data/base/1/1259", "pg_tblspc/16400",
                           "pg_tblspc/16385/PG_15_202209061/5/6"}) {
    EXPECT_EQ(place(name), name);
  }
  EXPECT_EQ(place("pg_tblspc"), "nowhere");
  EXPECT_EQ(layout.place("pg_tblspc/16400/PG_15_202209061")->root, 2u);
  EXPECT_EQ(layout.linked_root("pg_data/pg_tblspc/16385"), 1u);
  EXPECT_EQ(layout.linked_root("pg_data/pg_tblspc/1"), std::nullopt);
  EXPECT_EQ(layout.linked_root("pg_data/pg_wal"), std::nullopt);
}

TEST_F(TargetTest, RefusesNamesThatLeadElsewhere) {
  const auto layout = make_layout(manifest_, {node("a")});

  for (const std::string_view name :
       {"", "etc/passwd", "/etc/passwd", "pg_data/", "pg_data//x", "pg_data/../x", "pg_data/a/..",
        "pg_data/./x", "pg_databases/x", "pg_tblspc/1/PG_15_202209061/x", "pg_tblspc/16385/../x",
        "pg_tblspc/16385/other/x", "pg_tblspc/16385/PG_15_2022090612/x",
        "pg_tblspc/16385x/PG_15_202209061/x"}) {
    EXPECT_THAT([&] { layout.place(name); }, test::throws(ErrorKind::corrupt, "leads nowhere"))
        << name;
  }
  EXPECT_THAT([&] { layout.place(std::string_view("pg_data/a\0b", 11)); },
              test::throws(ErrorKind::corrupt));
}

TEST_F(TargetTest, LinkedDirectoriesAndFilesBecomePlainOnes) {
  manifest_.targets.push_back({.name = "pg_data/pg_wal", .path = "/wal", .is_link = true});
  manifest_.targets.push_back(
      {.name = "pg_data/pg_hba.conf", .path = "/etc/pg", .file = "pg_hba.conf", .is_link = true});

  const auto layout = make_layout(manifest_, {node("a")});

  ASSERT_EQ(layout.warnings.size(), 2u);
  EXPECT_EQ(layout.warnings[0].text,
            "pg_data/pg_wal was a link to /wal on the source and is restored as a plain directory "
            "in the data directory");
  EXPECT_THAT(layout.warnings[1].text, testing::HasSubstr("/etc/pg/pg_hba.conf"));
}

TEST_F(TargetTest, DirectoriesOfNodesMustNotTouch) {
  const auto refused = [&](const std::vector<NodeTarget>& nodes, const char* part) {
    EXPECT_THAT([&] { make_layout(manifest_, nodes); }, test::throws(ErrorKind::usage, part));
  };
  auto same = node("b");
  same.data_directory = root_ / "a";
  refused({node("a"), same}, "data directory");

  auto inside = node("b");
  inside.data_directory = root_ / "a" / "b";
  refused({node("a"), inside}, "lies in data directory");

  auto shared = node("b");
  shared.tablespace_root = root_ / "a-ts";
  refused({node("a"), shared}, "--tablespace-map");

  auto nowhere = node("a");
  nowhere.tablespace_root.clear();
  auto nowhere_either = node("b");
  nowhere_either.tablespace_root.clear();
  refused({nowhere, nowhere_either}, "/source/fast");

  auto in_data = node("a");
  in_data.tablespace_root = root_ / "a";
  refused({in_data}, "tablespace directory");

  refused({node("a"), node("a")}, "named twice");
  refused({}, "no node");
}

TEST_F(TargetTest, SeesThroughLinksWhenItComparesDirectories) {
  make_directories(root_ / "a");
  std::filesystem::create_directory_symlink(root_ / "a", root_ / "b");

  EXPECT_THAT(
      [&] {
        make_layout(manifest_, {node("a"), node("b")});
      },
      test::throws(ErrorKind::usage));
}

TEST_F(TargetTest, RefusesOptionsThatCannotBe) {
  auto relative = node("a");
  relative.data_directory = "pg";
  EXPECT_THAT([&] { make_layout(manifest_, {relative}); },
              test::throws(ErrorKind::usage, "not an absolute path"));

  auto unknown = node("a");
  unknown.tablespace_map = {{"999", root_ / "x"}};
  EXPECT_THAT([&] { make_layout(manifest_, {unknown}); },
              test::throws(ErrorKind::usage, "16385 (fast), 16400 (slow)"));
}

}  // namespace
}  // namespace pgrevive::restore
