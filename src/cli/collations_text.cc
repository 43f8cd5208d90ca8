#include "cli/collations_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/locales.h"

namespace pgrevive::cli {
namespace {

using cluster::ChangedCollation;
using cluster::DatabaseFindings;

// A person needs an idea and the number; the file has the rest.
constexpr std::size_t kShown = 5;

std::string counted(std::size_t count, const std::string& one, const std::string& many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

// "default 2.31 -> 2.36".
std::string change_of(const ChangedCollation& collation) {
  const auto before =
      collation.source_version.empty() ? "unknown" : printable(collation.source_version);
  return fmt::format("{} {} -> {}", printable(collation.name), before,
                     collation.host_version.empty() ? "none" : printable(collation.host_version));
}

std::string line_of(const DatabaseFindings& database) {
  std::string text = printable(database.database) + ": ";
  for (std::size_t i = 0; i < database.collations.size() && i < kShown; ++i)
    text += (i == 0 ? "" : ", ") + change_of(database.collations[i]);
  if (database.collations.size() > kShown)
    text += fmt::format(" and {} more", database.collations.size() - kShown);
  if (database.collations.empty())
    text += counted(database.unused, "collation", "collations") + " that no index needs";
  if (!database.reachable) return text;
  return text + "; " + counted(database.indexes.size(), "index", "indexes") + " to rebuild";
}

}  // namespace

std::string collations_text(const cluster::CollationFindings& findings, const std::string& call,
                            const std::string& file) {
  std::vector<std::string> lines;
  std::vector<const DatabaseFindings*> changed;
  for (const auto& database : findings.databases)
    if (!database.collations.empty() || database.unused > 0) changed.push_back(&database);
  if (!changed.empty()) {
    lines.push_back(fmt::format("{} sorted by other versions than this host's: {} to rebuild",
                                counted(changed.size(), "database was", "databases were"),
                                counted(findings.indexes(), "index", "indexes")));
    // The ones that have work to do first.
    std::ranges::stable_sort(changed, std::ranges::greater(),
                             [](const auto* database) { return database->indexes.size(); });
    for (std::size_t i = 0; i < changed.size() && i < kShown; ++i)
      lines.push_back("  " + line_of(*changed[i]));
    if (changed.size() > kShown)
      lines.push_back(fmt::format("  and {} more", changed.size() - kShown));
    const auto unknown = [](const ChangedCollation& one) { return one.source_version.empty(); };
    if (std::ranges::any_of(changed, [&](const auto* database) {
          return std::ranges::any_of(database->collations, unknown);
        }))
      lines.push_back(
          "unknown: the source kept no version; a C library that tells none (musl, in Alpine's "
          "images) sorts otherwise than this host's");
    if (findings.indexes() > 0)
      lines.push_back("until then queries may miss rows and unique indexes take duplicates");
    lines.push_back("repair: " + call + " start --reindex");
    lines.push_back("all of them: " + file);
  }
  for (const auto& database : findings.databases) {
    for (const auto& table : database.partitioned)
      lines.push_back(fmt::format(
          "{} in {} is partitioned by ranges of a text: start --reindex tells which rows lie in a "
          "wrong partition, and cannot move them",
          cluster::shown(table.schema, table.name), printable(database.database)));
    for (const auto& locale : database.missing_locales)
      lines.push_back(fmt::format(
          "database {}: {}; {}", printable(database.database),
          database.reachable
              ? "columns are of locale " + printable(locale) + ", which this host does not have"
              : "nobody can connect, this host has no locale " + printable(locale),
          cluster::locale_remedy(printable(locale))));
    if (!database.error.empty())
      lines.push_back(fmt::format("database {} could not be looked into: {}",
                                  printable(database.database), printable(database.error)));
  }
  if (!findings.not_comparable.empty()) {
    std::vector<std::string> names;
    for (const auto& name : findings.not_comparable) names.push_back(printable(name));
    lines.push_back(fmt::format(
        "not known of {}: before version 15 PostgreSQL does not keep by which version of its "
        "locale a database was sorted, before 13 of no locale of the C library; if the source ran "
        "on another system, reindex there",
        fmt::join(names, ", ")));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace pgrevive::cli
