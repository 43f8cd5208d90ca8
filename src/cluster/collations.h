#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What a cluster's texts were ordered by on the source, compared with what this host orders by. An
// index that was built by another version of a collation may be in another order than the server
// expects, which then does not find rows that are there.
namespace pgrevive::cluster {

using Oid = std::uint32_t;
// pg_collation."default": what the database was made with.
constexpr Oid kDefaultCollation = 100;

struct ChangedCollation {
  Oid oid = 0;
  std::string schema, name;  // of the default: "pg_catalog", "default"
  std::string provider;      // "libc", "icu", "builtin"
  // Empty: the source kept none, though this host's library has one. So does every source whose C
  // library tells no version, as musl (Alpine), and it sorts otherwise.
  std::string source_version;
  std::string host_version;  // empty: this host's has none, so it cannot be refreshed
};

struct AffectedIndex {
  std::string schema, name;
  std::string table;            // in the same schema
  std::vector<Oid> collations;  // changed ones that its order, its expressions or its WHERE need
  bool valid = true;            // false: CREATE or REINDEX CONCURRENTLY did not come to its end
  // An exclusion constraint's or a system catalog's: it can only be rebuilt under a lock.
  bool locks = false;
};

// Partitioned by ranges of a text: no REINDEX moves a row that now belongs elsewhere.
struct AffectedTable {
  std::string schema, name;
  std::vector<Oid> collations;
};

struct DatabaseFindings {
  std::string database;
  // Of the database, or of a collation that its columns use. Where it is the database's, nobody can
  // connect to it (`reachable` is false).
  std::vector<std::string> missing_locales;
  bool reachable = true;
  std::string error;  // why it could not be looked into, where it is not that
  // The default first. All that changed, used or not: each installed locale is one.
  std::vector<ChangedCollation> collations;
  std::size_t unused = 0;  // that were left out
  std::vector<AffectedIndex> indexes;
  std::vector<AffectedTable> partitioned;
  // Indexes need a collation of which this version of PostgreSQL keeps no version. Not saved.
  bool unversioned = false;

  bool nothing() const { return missing_locales.empty() && error.empty() && collations.empty(); }
  // Why nobody can look into it, in words; empty where nothing is wrong.
  std::string trouble() const;
  // Keeps of the collations the default and those that something here needs, and counts the others.
  void leave_out_unused();
};

struct CollationFindings {
  std::int64_t looked_ms = 0;               // Unix milliseconds
  std::vector<DatabaseFindings> databases;  // those with something to tell
  // Databases that order their texts by a locale, in a version of PostgreSQL that keeps no version
  // of that (before 15 of the default, before 13 of any of the C library's): nobody can know
  // whether it changed.
  std::vector<std::string> not_comparable;

  std::size_t indexes() const;

  // <root>/primary/collations.json. Empty where nobody looked yet.
  static std::optional<CollationFindings> load(const std::filesystem::path& file);
  void save(const std::filesystem::path& file) const;
};

// Whether what was kept is not this host's version. Both are empty where it cannot change (C), and
// where that version of PostgreSQL does not keep it. Pure.
bool is_changed(const std::optional<std::string>& kept, const std::optional<std::string>& actual);

// As a person would write them: schema.name, quoted where that is needed. Pure.
std::string shown(const std::string& schema, const std::string& name);

nlohmann::json to_value(const CollationFindings& findings);
CollationFindings collation_findings_from(const nlohmann::json& j);

}  // namespace pgrevive::cluster
