#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "postgres/version.h"

namespace pgrevive::postgres {

// The directory that holds postgres, initdb and pg_ctl of one major version.
// Looked for in this order: `configured` (if not empty), /usr/lib/postgresql/MAJOR/bin (Debian),
// /usr/pgsql-MAJOR/bin (Red Hat), the directory of `pg_config` and of `postgres` in PATH. Each is
// asked for its version. Throws Error{not_found} that says which package to install.
std::filesystem::path find_binaries(Version version, const std::filesystem::path& configured = {});

// The newest major version installed on this host; for making new clusters.
std::optional<Version> newest_installed(const std::filesystem::path& configured = {});

}  // namespace pgrevive::postgres
