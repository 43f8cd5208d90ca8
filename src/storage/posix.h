#pragma once

#include <filesystem>
#include <memory>

#include "storage/storage.h"

namespace pgrevive::storage {

// A repository in a local directory. Throws Error{usage} where `root` is not an absolute path; a
// root that does not exist is an empty repository, as a bucket without keys is. A symbolic link is
// followed only if it leads to a place inside `root` (pgBackRest makes `latest` that way).
std::unique_ptr<Storage> open_posix(const std::filesystem::path& root);

}  // namespace pgrevive::storage
