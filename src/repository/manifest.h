#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "codec/compress.h"
#include "codec/hash.h"
#include "codec/sink.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "repository/backup_label.h"

namespace pgrevive::repository {

// Who owns something, by name; empty: the operating system did not know the name at backup time.
struct Owner {
  std::string_view user;
  std::string_view group;
};

// A file of the cluster. Names are manifest names: "pg_data/base/1/1259",
// "pg_tblspc/16385/PG_15_.../5/6".
struct ManifestFile {
  std::string_view name;
  std::uint64_t size = 0;       // original bytes
  std::uint64_t repo_size = 0;  // stored bytes, block map included
  std::int64_t timestamp = 0;   // mtime, Unix seconds
  codec::Sha1 checksum;         // of the original bytes; kSha1OfNothing where size is 0
  std::uint32_t reference = 0;  // index into Manifest::references: whose folder holds the bytes
  std::uint64_t bundle_id = 0;  // 0: an object of its own
  std::uint64_t bundle_offset = 0;
  std::uint64_t block_map_size = 0;  // stored bytes; 0: a plain file, whatever block_size says
  std::uint32_t block_size = 0;      // bytes
  std::uint32_t owner = 0;           // index into Manifest::owners
  std::uint16_t mode = 0600;
  std::uint8_t block_checksum_size = 0;   // bytes kept of each block's checksum
  std::optional<bool> page_checksums_ok;  // empty: not checked by the backup

  bool bundled() const { return bundle_id != 0; }
  bool block_incremental() const { return block_map_size != 0; }
};

struct ManifestPath {
  std::string_view name;
  std::uint32_t owner = 0;  // index into Manifest::owners
  std::uint16_t mode = 0700;
};

struct ManifestLink {
  std::string_view name;  // "pg_data/pg_tblspc/16385"
  std::string_view destination;
  std::uint32_t owner = 0;  // index into Manifest::owners
};

// [backup:target]: PGDATA itself, tablespaces, linked directories and linked files.
struct ManifestTarget {
  std::string_view name;  // "pg_data", "pg_tblspc/16385", "pg_data/pg_wal"
  std::string_view path;  // where it was on the source; may be relative for links
  std::string_view file;  // base name, when a file is linked
  bool is_link = false;
  std::uint32_t tablespace_oid = 0;  // 0: not a tablespace
  std::string_view tablespace_name;
};

struct ManifestDatabase {
  std::string_view name;
  std::uint32_t oid = 0;
};

// Everything one backup says about itself. Immutable once loaded; any thread may read it. The views
// point into the manifest and live as long as it.
//
// Kept small because clusters with millions of files exist: a file costs 104 bytes and its name.
class Manifest {
 public:
  Manifest();
  Manifest(Manifest&&) noexcept;
  Manifest& operator=(Manifest&&) noexcept;
  ~Manifest();

  BackupLabel label = BackupLabel::parse("19700101-000000F");
  std::vector<BackupLabel> references;  // own label last; block maps and files index into it
  std::optional<std::string> archive_start, archive_stop;
  std::optional<postgres::Lsn> lsn_start, lsn_stop;
  std::int64_t timestamp_start = 0, timestamp_stop = 0, timestamp_copy_start = 0;
  bool online = true;
  bool bundle_raw = false;
  codec::CompressType compress_type = codec::CompressType::none;
  postgres::Version version;
  std::uint32_t catalog_version = 0;
  std::uint32_t control_version = 0;
  std::uint32_t database_id = 0;  // history id
  std::uint64_t system_id = 0;
  Secret data_passphrase;  // empty when not encrypted

  std::vector<Owner> owners;  // what files, paths and links index
  std::vector<ManifestTarget> targets;
  std::vector<ManifestPath> paths;  // ordered by name
  std::vector<ManifestLink> links;  // ordered by name
  std::deque<ManifestFile> files;   // ordered by name; a deque never holds all twice to grow
  std::vector<ManifestDatabase> databases;

  // Copies `text` into the manifest's own storage.
  std::string_view keep(std::string_view text);
  // Likewise, but equal texts are kept once: for the few names that owners have.
  std::string_view keep_once(std::string_view text);

  const ManifestTarget& data_directory() const;  // the target "pg_data"
  // Of a file, path or link.
  const Owner& owner_of(const auto& entry) const { return owners[entry.owner]; }

  // What all of it takes, bytes.
  std::uint64_t memory() const;

 private:
  struct Arena;
  std::unique_ptr<Arena> arena_;
};

// Reads the plain text of backup.manifest into `into`, which is whole and true only after finish().
// Everything in it is checked: names stay below pg_data/ or pg_tblspc/<oid>/ without "..", sizes
// and offsets fit 63 bits, what is stored of a file is no larger than it can be, references are
// known and rest on the same full backup, no entry comes twice or lies below a file. Error{corrupt}
// names the entry.
std::unique_ptr<Sink> make_manifest_reader(std::string name, Manifest& into);

}  // namespace pgrevive::repository
