#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/bytes.h"
#include "postgres/version.h"

// Files of the shared catalogs, read without a server.
//
// Facts: global/pg_filenode.map (relmapper.c), heap pages (bufpage.h, htup_details.h),
// pg_database.h; an oid is a column since version 12, and was behind the tuple's header before;
// locales are of type text since version 15, and were names before.
namespace pgrevive::postgres {

// Which file of global/ a shared catalog lies in, by the text of pg_filenode.map: its own OID, until
// it was rewritten.
std::uint32_t file_of_catalog(ByteView map, std::uint32_t catalog);

// Every row version in the pages, old ones too. What is no page of rows has none.
void for_each_tuple(ByteView pages, const std::function<void(ByteView tuple)>& look);

inline constexpr std::uint32_t kDatabaseCatalog = 1262;

struct DatabaseRow {
  std::string name;
  // Of the C library, which every session of the database takes on; empty where it is not to be
  // made out.
  std::string collate;
  std::string ctype;
  bool operator==(const DatabaseRow&) const = default;
};

// The databases by OID, as the pages of pg_database have them: of row versions those that were
// neither replaced nor undone, as far as they say it themselves. A server that was shut down has
// written out all.
std::map<std::uint32_t, DatabaseRow> databases_in(ByteView pages, Version version);

}  // namespace pgrevive::postgres
