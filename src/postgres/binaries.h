#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/identity.h"
#include "postgres/version.h"

namespace pgrevive::postgres {

// The directory that holds postgres, initdb and pg_ctl of one major version: `configured`, if it is
// not empty, and no other; else the first that fits of /usr/lib/postgresql/MAJOR/bin (Debian),
// /usr/pgsql-MAJOR/bin (Red Hat), the directory of `pg_config` and of `postgres` in PATH. Each is
// asked for its version, which means that it is run: `as` whom, where root does not trust who named
// it. Throws Error{not_found} that says what `configured` holds instead, or which package to
// install.
std::filesystem::path find_binaries(Version version, const std::filesystem::path& configured = {},
                                    const std::optional<Identity>& as = {});

// The newest major version installed on this host, or the one of `configured`; for making new
// clusters.
std::optional<Version> newest_installed(const std::filesystem::path& configured = {},
                                        const std::optional<Identity>& as = {});

// The version that the programs in `directory` say they are; empty where one is missing.
std::optional<Version> version_of_binaries(const std::filesystem::path& directory,
                                           const std::optional<Identity>& as = {});

}  // namespace pgrevive::postgres
