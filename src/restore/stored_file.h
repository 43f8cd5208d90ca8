#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "repository/repository.h"

namespace pgrevive::restore {

// The plain bytes of one file of a backup, proven by its SHA-1, before anything is restored. Empty
// where the backup has none of that name, and for one that is larger than 16 MiB or stored in
// blocks, as no file is that is asked for here. Throws what reading throws, and Error{corrupt}.
std::optional<Bytes> read_stored_file(const repository::Repository& repository,
                                      const repository::Manifest& manifest, std::string_view name);

}  // namespace pgrevive::restore
