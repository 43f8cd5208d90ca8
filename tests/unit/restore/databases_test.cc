#include "restore/databases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::restore {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A cluster with two databases of users beside its own, one of them in a tablespace only; postgres
// has been made anew.
class LeftOutDatabases : public testing::Test {
 protected:
  LeftOutDatabases() {
    manifest_.databases = {{"fast only", 16401}, {"postgres", 16500}, {"shop", 16400},
                           {"template0", 4},     {"template1", 1},    {"too new", 16600}};
    for (const char* name :
         {"pg_data/PG_VERSION", "pg_data/base/1/PG_VERSION", "pg_data/base/16400/1259",
          "pg_data/base/16400/PG_VERSION", "pg_data/base/16500/PG_VERSION",
          "pg_data/base/16999/1259", "pg_data/base/4/PG_VERSION", "pg_data/other/7/PG_VERSION",
          "pg_tblspc/16390/PG_15_202209061/16401/PG_VERSION",
          "pg_tblspc/16390/PG_15_202209061/16400/PG_VERSION"}) {
      manifest_.files.push_back({.name = name});
    }
  }

  std::vector<std::string> left_out(std::vector<std::string> include,
                                    std::vector<std::string> exclude = {}) {
    std::vector<std::string> texts;
    for (const auto& database :
         left_out_databases(manifest_, {.include = include, .exclude = exclude})) {
      texts.push_back(database.text());
    }
    return texts;
  }
  auto refuses(std::vector<std::string> include, std::vector<std::string> exclude,
               const char* why) {
    EXPECT_THAT([&] { left_out(include, exclude); }, test::throws(ErrorKind::usage, why));
  }

  repository::Manifest manifest_;
};

TEST_F(LeftOutDatabases, AreNoneWhereNothingIsSaid) { EXPECT_THAT(left_out({}), IsEmpty()); }

TEST_F(LeftOutDatabases, AreAllOthersButTheSystemsOwn) {
  EXPECT_THAT(left_out({"shop"}), ElementsAre("fast only (16401)"));
  EXPECT_THAT(left_out({"16401"}), ElementsAre("shop (16400)"));
  EXPECT_THAT(left_out({"fast only", "shop", "16400"}), IsEmpty());
}

TEST_F(LeftOutDatabases, AreThoseThatAreExcluded) {
  EXPECT_THAT(left_out({}, {"shop"}), ElementsAre("shop (16400)"));
  EXPECT_THAT(left_out({}, {"16401", "template1", "postgres", "fast only"}),
              ElementsAre("template1 (1)", "fast only (16401)", "postgres (16500)"));
}

TEST_F(LeftOutDatabases, WithInclusionsAnExclusionIsForTheSystemsOwn) {
  EXPECT_THAT(left_out({"shop"}, {"fast only"}), ElementsAre("fast only (16401)"));
  EXPECT_THAT(left_out({"shop"}, {"4"}), ElementsAre("template0 (4)", "fast only (16401)"));
}

TEST_F(LeftOutDatabases, ANumberIsAnOidBeforeItIsAName) {
  manifest_.databases.push_back({"99", 16403});
  manifest_.databases.push_back({"16400", 16404});
  manifest_.files.push_back({.name = "pg_data/base/16403/PG_VERSION"});
  manifest_.files.push_back({.name = "pg_data/base/16404/PG_VERSION"});
  EXPECT_THAT(left_out({}, {"99"}), ElementsAre("99 (16403)"));
  EXPECT_THAT(left_out({}, {"16400"}), ElementsAre("shop (16400)"));
}

TEST_F(LeftOutDatabases, ANumberWithLeadingZerosIsAName) {
  refuses({}, {"016400"}, "database to exclude '016400' does not exist");
}

TEST_F(LeftOutDatabases, MustBeThere) {
  refuses({"shops"}, {}, "database to include 'shops' does not exist");
  refuses({"shops"}, {}, "the backup has template1 (1), template0 (4), shop (16400), fast only");
  refuses({}, {"16402"}, "database to exclude '16402' does not exist");
  refuses({"SHOP"}, {}, "does not exist");
  refuses({"too new"}, {}, "does not exist");  // no file of it is in the backup
  refuses({"16999"}, {}, "does not exist");    // nor its PG_VERSION
  refuses({""}, {}, "does not exist");
}

TEST_F(LeftOutDatabases, RefusesWhatCannotBeIncluded) {
  refuses({"postgres"}, {}, "one of the system's own");
  refuses({"16500"}, {}, "one of the system's own");
  refuses({"1"}, {}, "one of the system's own");
  refuses({"shop"}, {"16400"}, "to be excluded too");
}

TEST_F(LeftOutDatabases, HaveOidsOnlyInAnOfflineBackup) {
  manifest_.databases.clear();
  EXPECT_THAT(left_out({"16400"}), ElementsAre("16401", "16500"));
  refuses({"shop"}, {}, "does not know the names of its databases");
}

}  // namespace
}  // namespace pgrevive::restore
