#include "postgres/catalog_file.h"

#include "fuzz/fuzz.h"

// Any pages are rows or none, of any version: what is told of a database is text as PostgreSQL
// could have in that column, and comes of the pages alone. The first byte chooses the version.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  fuzz::Source source(fuzz::input(data, size));
  const auto version = postgres::Version::of_major(10 + source.number<std::uint8_t>() % 9);
  const auto pages = source.rest();
  const auto databases = postgres::databases_in(pages, version);
  const auto is_text = [](const std::string& text, std::size_t most) {
    return text.size() <= most && text.find('\0') == std::string::npos;
  };
  for (const auto& [oid, row] : databases) {
    fuzz::require(!row.name.empty() && is_text(row.name, 63), "a database has a name");
    fuzz::require(row.collate.size() <= 126 && row.ctype.size() <= 126, "a locale is a short text");
    fuzz::require(version.at_least(15) || (is_text(row.collate, 63) && is_text(row.ctype, 63)),
                  "and was a name");
    fuzz::require(!version.at_least(15) || !row.collate.empty() || row.ctype.empty(),
                  "what stands behind one that is not to be made out is not, either");
  }
  postgres::file_of_catalog(pages, postgres::kDatabaseCatalog);
  return 0;
}
