#pragma once

#include <string>
#include <string_view>

#include "repository/manifest.h"

// Where things lie in a pgBackRest repository: the only place that knows the names of its files.
namespace pgrevive::repository::layout {

std::string archive_info(std::string_view stanza);  // archive/main/archive.info
std::string backup_info(std::string_view stanza);   // backup/main/backup.info
std::string manifest(std::string_view stanza, const BackupLabel& label);
std::string copy_of(std::string_view path);  // path + ".copy"
std::string archive_directory(std::string_view stanza, std::string_view archive_id);
// archive/main/15-1/0000000100000000, where segments that begin so lie.
std::string wal_directory(std::string_view stanza, std::string_view archive_id,
                          std::string_view wal_name);
std::string backup_directory(std::string_view stanza, const BackupLabel& label);
std::string bundle(std::string_view stanza, const BackupLabel& label, std::uint64_t bundle_id);

// The object that holds a file's bytes (2.6 of the format facts): its bundle, or its own object
// with the extension that the manifest's compress type gives (".pgbi" for block incremental).
std::string object_of(std::string_view stanza, const Manifest& manifest, const ManifestFile& file);

}  // namespace pgrevive::repository::layout
