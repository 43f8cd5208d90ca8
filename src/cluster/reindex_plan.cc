#include "cluster/reindex_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

using Kind = RepairStep::Kind;

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

std::string quoted(const std::string& schema, const std::string& name) {
  return quoted(schema) + "." + quoted(name);
}

// PostgreSQL's own endings, with a number where the name was taken.
bool is_leftover(const AffectedIndex& index) {
  if (index.valid) return false;
  const auto end = index.name.find_last_not_of("0123456789");
  const auto name = index.name.substr(0, end == std::string::npos ? 0 : end + 1);
  return name.ends_with("_ccnew") || name.ends_with("_ccold");
}

RepairStep drop(const AffectedIndex& index) {
  return {.kind = Kind::drop_leftover,
          .object = shown(index.schema, index.name),
          .statement = "drop index concurrently if exists " + quoted(index.schema, index.name),
          .collations = {}};
}

RepairStep rebuild(const AffectedIndex& index, int server_version) {
  const bool concurrently = server_version >= 120000 && !index.locks;
  return {.kind = Kind::reindex,
          .object = shown(index.schema, index.name),
          .statement = std::string("reindex index ") + (concurrently ? "concurrently " : "") +
                       quoted(index.schema, index.name),
          .collations = index.collations};
}

std::string literal(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

// PostgreSQL refuses to refresh where no version was kept ("invalid collation version change").
std::string keep_version(const DatabaseFindings& database, const ChangedCollation& collation) {
  if (collation.oid == kDefaultCollation)
    return "update pg_catalog.pg_database set datcollversion = "
           "pg_catalog.pg_database_collation_actual_version(oid) where datname = " +
           literal(database.database);
  return "update pg_catalog.pg_collation set collversion = "
         "pg_catalog.pg_collation_actual_version(oid) where oid = " +
         std::to_string(collation.oid);
}

// Every database has hundreds of an ICU's collations, and needs a few of them. ALTER COLLATION
// takes one at a time.
RepairStep refresh_all(std::vector<Oid> oids) {
  return {.kind = Kind::refresh,
          .object = fmt::format("{} collations that no index needs", oids.size()),
          .statement = fmt::format("update pg_catalog.pg_collation set collversion = "
                                   "pg_catalog.pg_collation_actual_version(oid) where oid in ({})",
                                   fmt::join(oids, ", ")),
          .collations = std::move(oids)};
}

RepairStep refresh(const DatabaseFindings& database, const ChangedCollation& collation) {
  const bool is_default = collation.oid == kDefaultCollation;
  if (collation.source_version.empty())
    return {
        .kind = Kind::refresh,
        .object = is_default ? "the default collation" : shown(collation.schema, collation.name),
        .statement = keep_version(database, collation),
        .collations = {collation.oid}};
  return {.kind = Kind::refresh,
          .object = is_default ? "the default collation" : shown(collation.schema, collation.name),
          .statement = is_default ? "alter database " + quoted(database.database) +
                                        " refresh collation version"
                                  : "alter collation " + quoted(collation.schema, collation.name) +
                                        " refresh version",
          .collations = {collation.oid}};
}

}  // namespace

std::vector<RepairStep> plan_repair(const DatabaseFindings& database, int server_version) {
  std::vector<RepairStep> steps;
  std::vector<AffectedIndex> indexes;
  for (const auto& index : database.indexes) {
    if (is_leftover(index))
      steps.push_back(drop(index));
    else
      indexes.push_back(index);
  }
  // Those that need the same collations one after the other, so that a version is soon done.
  std::ranges::stable_sort(indexes, {}, &AffectedIndex::collations);

  std::map<Oid, std::size_t> waiting;
  for (const auto& index : indexes)
    for (const auto oid : index.collations) ++waiting[oid];
  const auto refresh_done = [&](Oid oid) {
    for (const auto& collation : database.collations)
      // A host that has no version of it takes none over.
      if (collation.oid == oid && !collation.host_version.empty())
        steps.push_back(refresh(database, collation));
  };
  for (const auto& index : indexes) {
    steps.push_back(rebuild(index, server_version));
    for (const auto oid : index.collations)
      if (--waiting[oid] == 0) refresh_done(oid);
  }
  std::vector<Oid> unneeded;
  for (const auto& collation : database.collations) {
    if (waiting.contains(collation.oid)) continue;
    if (collation.oid == kDefaultCollation)
      refresh_done(collation.oid);
    else if (!collation.host_version.empty())
      unneeded.push_back(collation.oid);
  }
  if (unneeded.size() > 1)
    steps.push_back(refresh_all(std::move(unneeded)));
  else if (!unneeded.empty())
    refresh_done(unneeded.front());
  return steps;
}

std::vector<std::string> follow_plan(const std::vector<RepairStep>& steps,
                                     const std::function<void(const RepairStep&)>& run) {
  std::vector<std::string> failures;
  std::set<Oid> kept_back;
  for (const auto& step : steps) {
    if (step.kind == Kind::refresh && kept_back.contains(step.collations.at(0))) continue;
    try {
      run(step);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      failures.push_back(step.object + ": " + error.what());
      if (step.kind == Kind::reindex)
        kept_back.insert(step.collations.begin(), step.collations.end());
    }
  }
  return failures;
}

}  // namespace pgrevive::cluster
