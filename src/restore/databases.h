#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "repository/manifest.h"

// Selective restore, by pgBackRest's rules: the files of databases that are not wanted become
// sparse files of zeros of the same size, which cost no space and let WAL replay go on. Their
// PG_VERSION is restored. In the catalog such a database is still there; all that can be done with
// it after recovery is DROP DATABASE.
namespace pgrevive::restore {

// pgBackRest's --db-include and --db-exclude; each word is the OID of a database or its name.
struct DatabaseChoice {
  std::vector<std::string> include;
  std::vector<std::string> exclude;

  bool all() const { return include.empty() && exclude.empty(); }
};

struct Database {
  std::uint32_t oid = 0;
  std::string name;  // empty: the backup does not say it

  // One of those that every cluster has.
  bool is_system() const;
  std::string text() const;  // "shop (16385)"
};

// The databases that are left out, by OID. With `include` those that it does not name; of the
// system's own (template0, template1, postgres, and all OIDs below 16384) then, and without
// `include` of all, those that `exclude` names.
//
// A word is an OID if the backup has a database of that OID, else a name. Throws Error{usage} for
// one that is neither, for a system database to include, and for a database in both lists.
std::vector<Database> left_out_databases(const repository::Manifest& manifest,
                                         const DatabaseChoice& choice);

// Whether a file of the manifest is of one of these databases (OIDs, ascending) and has to be
// zeroed: all of them but for PG_VERSION.
bool is_zeroed(std::string_view manifest_name, const std::vector<std::uint32_t>& left_out);

}  // namespace pgrevive::restore
