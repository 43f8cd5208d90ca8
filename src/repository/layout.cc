#include "repository/layout.h"

#include <fmt/format.h>

#include "base/error.h"

namespace pgrevive::repository::layout {

namespace {

// Of a WAL name: timeline and the upper half of the position.
constexpr std::size_t kWalDirectoryDigits = 16;

}  // namespace

std::string archive_info(std::string_view stanza) {
  return fmt::format("archive/{}/archive.info", stanza);
}

std::string backup_info(std::string_view stanza) {
  return fmt::format("backup/{}/backup.info", stanza);
}

std::string manifest(std::string_view stanza, const BackupLabel& label) {
  return backup_directory(stanza, label) + "/backup.manifest";
}

std::string copy_of(std::string_view path) { return std::string(path) + ".copy"; }

std::string archive_directory(std::string_view stanza, std::string_view archive_id) {
  return fmt::format("archive/{}/{}", stanza, archive_id);
}

std::string wal_directory(std::string_view stanza, std::string_view archive_id,
                          std::string_view wal_name) {
  if (wal_name.size() < kWalDirectoryDigits)
    throw Error(ErrorKind::internal, fmt::format("'{}' has no WAL directory", wal_name));
  return fmt::format("archive/{}/{}/{}", stanza, archive_id,
                     wal_name.substr(0, kWalDirectoryDigits));
}

std::string backup_directory(std::string_view stanza, const BackupLabel& label) {
  return fmt::format("backup/{}/{}", stanza, label.text());
}

std::string bundle(std::string_view stanza, const BackupLabel& label, std::uint64_t bundle_id) {
  return fmt::format("{}/bundle/{}", backup_directory(stanza, label), bundle_id);
}

std::string object_of(std::string_view stanza, const Manifest& manifest, const ManifestFile& file) {
  const BackupLabel& label = manifest.references.at(file.reference);
  if (file.bundled()) return bundle(stanza, label, file.bundle_id);
  return fmt::format("{}/{}{}", backup_directory(stanza, label), file.name,
                     file.block_incremental() ? ".pgbi" : codec::extension(manifest.compress_type));
}

}  // namespace pgrevive::repository::layout
