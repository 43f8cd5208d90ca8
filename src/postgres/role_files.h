#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "postgres/version.h"

namespace pgrevive::postgres {

// The names of superusers that may log in, as the files of pg_authid in a data directory have them:
// for a cluster of which nobody knows what its superuser is called. Old row versions are among
// them, and what a server has not written out yet is not, so they are names to try and nothing
// more. At most 32; none where the files cannot be read as such. Needs no server and does not mind
// one.
//
// Facts: catalog_file.h, and pg_authid.h; the oid is a column since version 12.
std::vector<std::string> superusers_on_disk(const std::filesystem::path& data_directory,
                                            Version version);

}  // namespace pgrevive::postgres
