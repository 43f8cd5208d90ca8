#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/secret.h"
#include "repository/repository.h"
#include "storage/s3/s3.h"

namespace pgrevive::repository {

// Where a repository is and what opens it, however the user wrote that down (.env, pgbackrest.conf,
// command line).
struct RepositoryOptions {
  enum class Type { posix, s3 };

  Type type = Type::s3;
  std::filesystem::path path;  // posix
  storage::S3Options s3;       // s3; its prefix is the repository's path
  std::string stanza = "main";
  Secret cipher_passphrase;  // empty: not encrypted

  // "s3://bucket/prefix" or the path, for messages.
  std::string describe() const;
};

Repository open_repository(const RepositoryOptions& options);
std::shared_ptr<const storage::Storage> open_storage(const RepositoryOptions& options);

}  // namespace pgrevive::repository
