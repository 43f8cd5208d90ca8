#include "restore/databases.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "repository/manifest_name.h"

namespace pgrevive::restore {

namespace {

// PostgreSQL's FirstNormalObjectId: what is below was made by initdb.
constexpr std::uint32_t kFirstNormalOid = 16384;

constexpr std::string_view kVersionFile = "PG_VERSION";

// "pg_data/base/OID/FILE" or "pg_tblspc/OID/PG_.../OID/FILE".
struct DatabaseFile {
  std::uint32_t database = 0;
  std::string_view file;
};
std::optional<DatabaseFile> database_file(std::string_view name) {
  const auto last = name.rfind('/');
  if (last == std::string_view::npos) return std::nullopt;
  const auto directory = name.substr(0, last);
  const auto slash = directory.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto parent = directory.substr(0, slash);
  const bool in_tablespace =
      parent.starts_with("pg_tblspc/") && std::ranges::count(parent, '/') == 2;
  if (parent != "pg_data/base" && !in_tablespace) return std::nullopt;
  const auto oid = repository::parse_oid(directory.substr(slash + 1));
  if (!oid) return std::nullopt;
  return DatabaseFile{*oid, name.substr(last + 1)};
}

using Databases = std::map<std::uint32_t, Database>;

// Those that have files. A database whose files the backup lacks (made just after the list of them
// was taken) comes from the WAL as a whole, or not at all.
Databases databases_of(const repository::Manifest& manifest) {
  Databases found;
  for (const auto& file : manifest.files) {
    if (!file.name.ends_with(kVersionFile)) continue;
    const auto of = database_file(file.name);
    if (of && of->file == kVersionFile) found[of->database].oid = of->database;
  }
  for (const auto& database : manifest.databases) {
    const auto known = found.find(database.oid);
    if (known != found.end()) known->second.name = std::string(database.name);
  }
  return found;
}

const Database& find(const Databases& databases, const std::string& word, const char* purpose) {
  if (const auto oid = repository::parse_oid(word)) {
    if (const auto found = databases.find(*oid); found != databases.end()) return found->second;
  }
  const auto found = std::ranges::find_if(databases, [&](const auto& entry) {
    return !entry.second.name.empty() && entry.second.name == word;
  });
  if (found != databases.end()) return found->second;

  std::vector<std::string> known;
  bool named = false;
  for (const auto& [oid, database] : databases) {
    known.push_back(printable(database.text()));
    named = named || !database.name.empty();
  }
  throw Error(ErrorKind::usage,
              fmt::format("database to {} '{}' does not exist", purpose, printable(word, 80)))
      .with_hint(fmt::format(
          "{}; the backup has {}",
          named ? "write the name or OID of a database that was there when the backup was made"
                : "this backup does not know the names of its databases, as one of a server that "
                  "was shut down does not: write an OID",
          fmt::join(known, ", ")));
}

}  // namespace

bool Database::is_system() const {
  return oid < kFirstNormalOid || name == "template0" || name == "template1" || name == "postgres";
}

std::string Database::text() const {
  return name.empty() ? std::to_string(oid) : fmt::format("{} ({})", name, oid);
}

bool is_zeroed(std::string_view manifest_name, const std::vector<std::uint32_t>& left_out) {
  if (left_out.empty()) return false;
  const auto of = database_file(manifest_name);
  return of && of->file != kVersionFile && std::ranges::binary_search(left_out, of->database);
}

std::vector<Database> left_out_databases(const repository::Manifest& manifest,
                                         const DatabaseChoice& choice) {
  if (choice.all()) return {};
  const auto databases = databases_of(manifest);
  if (databases.empty()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("backup {} has no databases to choose from", manifest.label.text()));
  }
  std::set<std::uint32_t> excluded, included;
  for (const auto& word : choice.exclude) excluded.insert(find(databases, word, "exclude").oid);
  for (const auto& word : choice.include) {
    const auto& database = find(databases, word, "include");
    if (database.is_system()) {
      throw Error(ErrorKind::usage, fmt::format("database to include '{}' is one of the system's "
                                                "own, which are included by default",
                                                printable(word, 80)))
          .with_hint("name the databases that users have made; to have no others, exclude them");
    }
    if (excluded.contains(database.oid)) {
      throw Error(ErrorKind::usage, fmt::format("database to include '{}' is to be excluded too",
                                                printable(word, 80)))
          .with_hint("leave it out of one of the two lists");
    }
    included.insert(database.oid);
  }

  std::vector<Database> result;
  for (const auto& [oid, database] : databases) {
    const bool by_exclusion = choice.include.empty() || database.is_system();
    if (by_exclusion ? excluded.contains(oid) : !included.contains(oid)) result.push_back(database);
  }
  return result;
}

}  // namespace pgrevive::restore
