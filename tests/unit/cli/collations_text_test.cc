#include "cli/collations_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cli {
namespace {

using cluster::CollationFindings;

TEST(CollationsText, HasNothingToSayOfAHostThatSortsAlike) {
  EXPECT_EQ(collations_text({}, "pgrevive", "/x"), "");
}

TEST(CollationsText, CountsAndNamesTheRemedy) {
  CollationFindings findings;
  findings.databases.push_back({.database = "quiet", .unused = 800});
  findings.databases.push_back(
      {.database = "shop",
       .collations =
           {{.oid = 100, .name = "default", .source_version = "2.28", .host_version = "2.36"},
            {.oid = 7, .name = "pt", .source_version = "2.28"}},
       .indexes = {{.schema = "public", .name = "i"}},
       .partitioned = {{.schema = "public", .name = "Parts"}}});

  EXPECT_EQ(collations_text(findings, "pgrevive --cluster a", "/x/collations.json"),
            "2 databases were sorted by other versions than this host's: 1 index to rebuild\n"
            "  shop: default 2.28 -> 2.36, pt 2.28 -> none; 1 index to rebuild\n"
            "  quiet: 800 collations that no index needs; 0 indexes to rebuild\n"
            "until then queries may miss rows and unique indexes take duplicates\n"
            "repair: pgrevive --cluster a start --reindex\n"
            "all of them: /x/collations.json\n"
            "public.\"Parts\" in shop is partitioned by ranges of a text: start --reindex tells "
            "which rows lie in a wrong partition, and cannot move them");
}

TEST(CollationsText, SaysWhatItMeansThatNoVersionWasKept) {
  CollationFindings findings;
  findings.databases.push_back(
      {.database = "shop",
       .collations = {{.oid = 100, .name = "default", .host_version = "2.36"}},
       .indexes = {{.schema = "public", .name = "i"}}});

  const auto text = collations_text(findings, "pgrevive", "/x");

  EXPECT_THAT(text, testing::HasSubstr("shop: default unknown -> 2.36; 1 index to rebuild"));
  EXPECT_THAT(text, testing::HasSubstr("the source kept no version; a C library"));
}

TEST(CollationsText, NamesLocalesThatAreMissing) {
  CollationFindings findings;
  findings.databases.push_back(
      {.database = "lost", .missing_locales = {"de_DE.utf8"}, .reachable = false});
  findings.databases.push_back({.database = "here", .missing_locales = {"fr_FR.utf8"}});
  findings.databases.push_back({.database = "closed", .reachable = false, .error = "why"});
  findings.not_comparable = {"a", "b"};

  const auto text = collations_text(findings, "pgrevive", "/x");

  EXPECT_THAT(text,
              testing::StartsWith("database lost: nobody can connect, this host has no locale "
                                  "de_DE.utf8; install the locale de_DE.utf8 (Debian"));
  EXPECT_THAT(text, testing::HasSubstr("database here: columns are of locale fr_FR.utf8"));
  EXPECT_THAT(text, testing::HasSubstr("database closed could not be looked into: why"));
  EXPECT_THAT(text, testing::HasSubstr("not known of a, b: before version 15"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("--reindex")));
}

}  // namespace
}  // namespace pgrevive::cli
