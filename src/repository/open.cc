#include "repository/open.h"

#include "storage/posix.h"

namespace pgrevive::repository {

std::string RepositoryOptions::describe() const {
  if (type == Type::posix) return path.string();
  const auto& prefix = s3.prefix;
  const std::size_t begin = prefix.find_first_not_of('/');
  if (begin == std::string::npos) return "s3://" + s3.bucket;
  const std::size_t end = prefix.find_last_not_of('/') + 1;
  return "s3://" + s3.bucket + "/" + prefix.substr(begin, end - begin);
}

std::shared_ptr<const storage::Storage> open_storage(const RepositoryOptions& options) {
  if (options.type == RepositoryOptions::Type::posix) return storage::open_posix(options.path);
  return storage::open_s3(options.s3);
}

Repository open_repository(const RepositoryOptions& options) {
  return {open_storage(options), options.stanza, options.cipher_passphrase};
}

}  // namespace pgrevive::repository
