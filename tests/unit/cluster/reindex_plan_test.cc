#include "cluster/reindex_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = RepairStep::Kind;

constexpr int k15 = 150018;

ChangedCollation collation(Oid oid, const std::string& name) {
  return {.oid = oid,
          .schema = "public",
          .name = name,
          .provider = "libc",
          .source_version = "2.28",
          .host_version = "2.36"};
}

ChangedCollation the_default() {
  auto found = collation(kDefaultCollation, "default");
  found.schema = "pg_catalog";
  return found;
}

AffectedIndex index(const std::string& name, std::vector<Oid> collations) {
  return {.schema = "public", .name = name, .table = "t", .collations = std::move(collations)};
}

std::vector<std::string> statements(const std::vector<RepairStep>& steps) {
  std::vector<std::string> found;
  for (const auto& step : steps) found.push_back(step.statement);
  return found;
}

TEST(RepairPlan, RefreshesAVersionBehindTheLastIndexThatNeedsIt) {
  const DatabaseFindings database{
      .database = "a\"b",
      .collations = {the_default(), collation(7, "pt"), collation(8, "unused")},
      .indexes = {index("i1", {7}), index("i2", {100}), index("i3", {7, 100}), index("i4", {7})}};

  EXPECT_THAT(statements(plan_repair(database, k15)),
              ElementsAre("reindex index concurrently \"public\".\"i1\"",
                          "reindex index concurrently \"public\".\"i4\"",
                          "reindex index concurrently \"public\".\"i3\"",
                          "alter collation \"public\".\"pt\" refresh version",
                          "reindex index concurrently \"public\".\"i2\"",
                          "alter database \"a\"\"b\" refresh collation version",
                          "alter collation \"public\".\"unused\" refresh version"));
}

TEST(RepairPlan, RefreshesAllThatNoIndexNeedsAtOnce) {
  auto unknown = collation(9, "unknown");
  unknown.host_version.clear();
  const DatabaseFindings database{.database = "d",
                                  .collations = {the_default(), collation(7, "pt"),
                                                 collation(8, "de"), unknown, collation(12, "ka")},
                                  .indexes = {index("i", {8})}};

  const auto steps = plan_repair(database, k15);

  EXPECT_THAT(statements(steps),
              ElementsAre("reindex index concurrently \"public\".\"i\"",
                          "alter collation \"public\".\"de\" refresh version",
                          "alter database \"d\" refresh collation version",
                          "update pg_catalog.pg_collation set collversion = "
                          "pg_catalog.pg_collation_actual_version(oid) where oid in (7, 12)"));
  EXPECT_EQ(steps.back().object, "2 collations that no index needs");
}

TEST(RepairPlan, KeepsAVersionWhereNoneWasKept) {
  auto unknown = the_default();
  unknown.source_version.clear();
  auto another = collation(7, "pt");
  another.source_version.clear();
  const DatabaseFindings database{
      .database = "a'b", .collations = {unknown, another}, .indexes = {index("i", {7, 100})}};

  EXPECT_THAT(statements(plan_repair(database, k15)),
              ElementsAre("reindex index concurrently \"public\".\"i\"",
                          "update pg_catalog.pg_collation set collversion = "
                          "pg_catalog.pg_collation_actual_version(oid) where oid = 7",
                          "update pg_catalog.pg_database set datcollversion = "
                          "pg_catalog.pg_database_collation_actual_version(oid) "
                          "where datname = 'a''b'"));
}

TEST(RepairPlan, RebuildsUnderALockWhatCannotBeRebuiltBeside) {
  auto excluding = index("e", {100});
  excluding.locks = true;
  const DatabaseFindings database{
      .database = "d", .collations = {the_default()}, .indexes = {index("i", {100}), excluding}};

  EXPECT_THAT(
      statements(plan_repair(database, k15)),
      ElementsAre("reindex index concurrently \"public\".\"i\"", "reindex index \"public\".\"e\"",
                  "alter database \"d\" refresh collation version"));
  // Before 12 there is no REINDEX CONCURRENTLY.
  EXPECT_EQ(statements(plan_repair(database, 110022)).front(), "reindex index \"public\".\"i\"");
}

TEST(RepairPlan, DropsWhatAnInterruptedOneLeft) {
  auto left = index("i_ccnew", {100});
  left.valid = false;
  auto left_too = index("i_ccold12", {100});
  left_too.valid = false;
  auto of_somebody = index("halfway", {100});  // of a CREATE INDEX CONCURRENTLY
  of_somebody.valid = false;
  const DatabaseFindings database{
      .database = "d",
      .collations = {the_default()},
      .indexes = {left, left_too, of_somebody, index("good_ccnew", {100})}};

  EXPECT_THAT(statements(plan_repair(database, k15)),
              ElementsAre("drop index concurrently if exists \"public\".\"i_ccnew\"",
                          "drop index concurrently if exists \"public\".\"i_ccold12\"",
                          "reindex index concurrently \"public\".\"halfway\"",
                          "reindex index concurrently \"public\".\"good_ccnew\"",
                          "alter database \"d\" refresh collation version"));
}

TEST(RepairPlan, TakesNoVersionOverThatTheHostDoesNotHave) {
  auto without = the_default();
  without.host_version.clear();
  const DatabaseFindings database{
      .database = "d", .collations = {without}, .indexes = {index("i", {100})}};

  EXPECT_THAT(statements(plan_repair(database, k15)),
              ElementsAre("reindex index concurrently \"public\".\"i\""));
}

TEST(RepairPlan, AFailedIndexKeepsItsVersionsBackAndNothingElse) {
  const DatabaseFindings database{
      .database = "d",
      .collations = {the_default(), collation(7, "pt"), collation(8, "de")},
      .indexes = {index("i", {100}), index("bad", {7, 100}), index("j", {8})}};
  std::vector<std::string> done;

  const auto failures = follow_plan(plan_repair(database, k15), [&](const RepairStep& step) {
    if (step.object == "public.bad") throw Error(ErrorKind::postgres, "duplicated");
    done.push_back(step.statement);
  });

  EXPECT_THAT(failures, ElementsAre("public.bad: duplicated"));
  EXPECT_THAT(done, ElementsAre("reindex index concurrently \"public\".\"j\"",
                                "alter collation \"public\".\"de\" refresh version",
                                "reindex index concurrently \"public\".\"i\""));
}

TEST(RepairPlan, AStopIsNoFailureOfAnIndex) {
  const DatabaseFindings database{
      .database = "d", .collations = {the_default()}, .indexes = {index("i", {100})}};

  EXPECT_THROW(follow_plan(plan_repair(database, k15),
                           [](const RepairStep&) { throw Error(ErrorKind::cancelled, "stop"); }),
               Error);
  EXPECT_THAT(plan_repair({.database = "d"}, k15), IsEmpty());
}

}  // namespace
}  // namespace pgrevive::cluster
