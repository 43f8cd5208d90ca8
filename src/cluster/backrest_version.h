#pragma once

#include <compare>
#include <optional>
#include <string_view>

#include "cluster/settings.h"
#include "postgres/version.h"

// Which versions of PostgreSQL the installed pgBackRest can archive: it refuses what it does not
// know, and a distribution's may be years older than its user's PostgreSQL.
namespace pgrevive::cluster {

// 2.45; what follows the second number does not matter here.
struct BackrestVersion {
  int major = 0;
  int minor = 0;

  auto operator<=>(const BackrestVersion&) const = default;
};

// Of what `pgbackrest version` prints: "pgBackRest 2.45", "pgBackRest 2.60.0dev". Empty if it is
// not of that form. Pure.
std::optional<BackrestVersion> parse_backrest_version(std::string_view text);

// The first release that knows that PostgreSQL version; empty for versions that all 2.x know and
// for those we have not heard of. Pure.
std::optional<BackrestVersion> first_backrest_for(postgres::Version version);

// Throws Error{unsupported} with the choices there are where the pgBackRest of this host is older
// than that. One that does not tell its version passes.
void check_backrest_knows(postgres::Version version, WalArchiveMode mode);

}  // namespace pgrevive::cluster
