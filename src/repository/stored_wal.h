#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repository/repository.h"

namespace pgrevive::repository {

// What these segments take in the archive, by a list of each directory that they lie in: a request
// for every 4 GiB of log. Empty where one of them is not there.
std::optional<std::uint64_t> stored_wal(const Repository& repository, const WalArchive& archive,
                                        const std::vector<std::string>& names);

}  // namespace pgrevive::repository
