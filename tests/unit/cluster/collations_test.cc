#include "cluster/collations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(Collations, WhatWasKeptIsThisHostsOrHasChanged) {
  EXPECT_TRUE(is_changed("2.28", "2.36"));
  EXPECT_TRUE(is_changed("2.36", "2.28"));  // to an older host is no better
  EXPECT_TRUE(is_changed("2.28", {}));
  EXPECT_FALSE(is_changed("2.36", "2.36"));
  EXPECT_TRUE(is_changed({}, "2.36"));  // by a C library that tells none
  EXPECT_FALSE(is_changed({}, {}));
}

CollationFindings full() {
  return {.looked_ms = 5,
          .databases = {{.database = "shop \xc3\xbc",
                         .missing_locales = {"de_DE.utf8"},
                         .reachable = false,
                         .error = "e",
                         .collations = {{.oid = 100,
                                         .schema = "pg_catalog",
                                         .name = "default",
                                         .provider = "libc",
                                         .source_version = "2.28",
                                         .host_version = "2.36"},
                                        {.oid = 7, .schema = "s", .name = "used"},
                                        {.oid = 8, .schema = "s", .name = "by a table"},
                                        {.oid = 9, .schema = "s", .name = "unused"}},
                         .unused = 3,
                         .indexes = {{.schema = "s",
                                      .name = "i",
                                      .table = "t",
                                      .collations = {7},
                                      .valid = false,
                                      .locks = true}},
                         .partitioned = {{.schema = "s", .name = "p", .collations = {8}}}}},
          .not_comparable = {"old"}};
}

TEST(Collations, FindingsComeBackAsTheyWereSaved) {
  const test::TempDir temporary;
  const auto file = temporary.path() / "collations.json";
  EXPECT_FALSE(CollationFindings::load(file));

  full().save(file);
  const auto back = CollationFindings::load(file);

  ASSERT_TRUE(back);
  EXPECT_EQ(to_value(*back), to_value(full()));
  EXPECT_EQ(back->databases.at(0).indexes.at(0).collations, std::vector<Oid>{7});
  EXPECT_TRUE(back->databases.at(0).indexes.at(0).locks);
  write_file_atomic(file, "{");
  EXPECT_THROW(CollationFindings::load(file), Error);
}

TEST(Collations, WhatNothingNeedsIsCountedAndNotListed) {
  auto database = full().databases.at(0);

  database.leave_out_unused();

  ASSERT_EQ(database.collations.size(), 3u);
  EXPECT_EQ(database.collations.at(2).name, "by a table");
  EXPECT_EQ(database.unused, 4u);
}

TEST(Collations, NamesAreShownAsAPersonWritesThem) {
  EXPECT_EQ(shown("public", "items_1"), "public.items_1");
  EXPECT_EQ(shown("public", "a\"B"), "public.\"a\"\"B\"");
}

}  // namespace
}  // namespace pgrevive::cluster
