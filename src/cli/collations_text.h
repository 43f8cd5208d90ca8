#pragma once

#include <string>

#include "cluster/collations.h"

namespace pgrevive::cli {

// What `start` and `status` tell of a cluster whose texts were ordered by other versions than this
// host's, and of locales that are missing: lines without an ending newline; empty where there is
// nothing to tell. `call` is how a person calls this program for that cluster, `file` where
// everything is listed. Pure.
std::string collations_text(const cluster::CollationFindings& findings, const std::string& call,
                            const std::string& file);

}  // namespace pgrevive::cli
