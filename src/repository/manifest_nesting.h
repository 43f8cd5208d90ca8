#pragma once

#include <string>

#include "repository/manifest.h"

namespace pgrevive::repository {

// Throws Error{corrupt}, naming the entry, where a manifest wants two things in one place: a file
// that is also a directory or the link to a tablespace, or something below a file. `name` is the
// manifest's own; its files and paths are ordered.
void check_nesting(const std::string& name, const Manifest& manifest);

}  // namespace pgrevive::repository
