#pragma once

#include <cstdint>
#include <map>

#include "postgres/catalog_file.h"
#include "repository/repository.h"

namespace pgrevive::cluster {

// The databases by OID, as the files of a backup have them before anything is restored: what the
// WAL since changes in them is not known. Empty where they are not to be read as such. Throws what
// reading throws.
std::map<std::uint32_t, postgres::DatabaseRow> stored_databases(
    const repository::Repository& repository, const repository::Manifest& manifest);

}  // namespace pgrevive::cluster
