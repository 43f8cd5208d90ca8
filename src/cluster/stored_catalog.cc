#include "cluster/stored_catalog.h"

#include <string>

#include "restore/stored_file.h"

namespace pgrevive::cluster {

std::map<std::uint32_t, postgres::DatabaseRow> stored_databases(
    const repository::Repository& repository, const repository::Manifest& manifest) {
  const std::string global = "pg_data/global/";
  const auto map = restore::read_stored_file(repository, manifest, global + "pg_filenode.map");
  if (!map) return {};
  const auto file = postgres::file_of_catalog(*map, postgres::kDatabaseCatalog);
  const auto pages = restore::read_stored_file(repository, manifest, global + std::to_string(file));
  if (!pages) return {};
  return postgres::databases_in(*pages, manifest.version);
}

}  // namespace pgrevive::cluster
