#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "postgres/history.h"
#include "postgres/wal_name.h"
#include "repository/archive_info.h"
#include "repository/backup_info.h"
#include "repository/manifest.h"
#include "storage/storage.h"

namespace pgrevive::repository {

// One stanza of one pgBackRest repository, read-only. Any thread may call anything.
//
// Info files are read with their ".copy" as a second chance: only when both fail is it an error,
// and then both reasons are named. A wrong passphrase, a newer format, an unfinished backup and a
// stanza that does not exist are each told apart (and each has its own hint).
class Repository {
 public:
  // `passphrase` is the user's (repo-cipher-pass), empty for a repository that is not encrypted.
  Repository(std::shared_ptr<const storage::Storage> storage, std::string stanza,
             Secret passphrase);

  const storage::Storage& storage() const { return *storage_; }
  const std::string& stanza() const { return stanza_; }
  bool encrypted() const { return !passphrase_.empty(); }

  BackupInfo load_backup_info() const;
  ArchiveInfo load_archive_info() const;
  // Throws Error{not_found} "backup ... is not finished" if `set` is the label of one that
  // backup.info does not list, and of which only the copy of the manifest is there.
  void check_finished(const BackupInfo& info, std::string_view set) const;
  // Says of an unlisted backup what check_finished() says, and refuses every other one.
  Manifest load_manifest(const BackupInfo& info, const BackupLabel& label) const;

  // The stanzas of a repository, in order of name.
  static std::vector<std::string> list_stanzas(const storage::Storage& storage);

 private:
  std::shared_ptr<const storage::Storage> storage_;
  std::string stanza_;
  Secret passphrase_;
};

// One segment file in the archive.
struct ArchivedSegment {
  std::string archive_id;  // "15-1"
  std::string name;        // 24 digits
  std::string object;      // its full path in the repository
  codec::Sha1 checksum;    // of the plain bytes, from the name
  codec::CompressType compress_type = codec::CompressType::none;
};

// The WAL archive of one cluster (system id and version) in a repository. Looks are made when asked
// and never cached. Any thread may call anything.
class WalArchive {
 public:
  // Throws Error{not_found} when the archive never held this cluster. `repository` must outlive it.
  WalArchive(const Repository& repository, ArchiveInfo info, std::uint64_t system_id,
             postgres::Version version);

  // Newest first, which is the order in which they are looked into.
  const std::vector<std::string>& archive_ids() const { return archive_ids_; }
  const Secret& passphrase() const { return info_.wal_passphrase; }

  // The segment of that name (24 digits), or of that name with ".partial"; empty: a successful look
  // into every archive id found none. Throws Error{corrupt} when it is there with two different
  // checksums.
  std::optional<ArchivedSegment> find_segment(const std::string& name) const;
  // All whole segments of `from`'s and later timelines whose place in the log lies between the two
  // segments or near them, in one look: a request for the archive and one for every 4 GiB of log.
  // One that is there twice comes twice, in the order of archive ids.
  std::vector<ArchivedSegment> find_segments(const std::string& from, const std::string& to) const;
  // The plain text of "XXXXXXXX.history"; empty: proven absent.
  std::optional<std::string> load_history(const std::string& name) const;
  // Likewise for "....backup" files.
  std::optional<std::string> load_backup_history(const std::string& name) const;

  // All history files, ordered by timeline.
  std::vector<postgres::Timeline> list_histories() const;
  // Names of all whole segments of one timeline at or after `from` (a segment name, or empty for
  // all), in order, each once.
  std::vector<std::string> list_segments(postgres::Timeline timeline,
                                         const std::string& from = {}) const;
  // Likewise of all timelines; `from` counts as a place in the log, whatever its timeline.
  std::map<postgres::Timeline, std::vector<std::string>> list_all_segments(
      const std::string& from = {}) const;
  // Every timeline that there is a segment or a history file of, with its last whole segment; empty
  // where it has none yet. Looks into the last directory of each, not into all.
  std::map<postgres::Timeline, std::string> newest_segments() const;
  // The first and last segment of all, as `info` shows them for one archive id.
  struct Range {
    std::string min, max;
  };
  std::optional<Range> range(const std::string& archive_id) const;

  // The size of the cluster's WAL segments, as the first page of this one says. Only the beginning
  // of the object is decoded, so its checksum is not checked; Error{corrupt} if that is no WAL.
  std::uint32_t load_segment_size(const ArchivedSegment& segment) const;

  // Decrypts and decompresses the segment into `sink` and finishes it; throws Error{corrupt} where
  // the SHA-1 of its name is not that of its bytes (only then has `sink` not been finished).
  void read_segment(const ArchivedSegment& segment, Sink& sink) const;

 private:
  std::optional<std::string> load_plain(const std::string& directory_suffix,
                                        const std::string& name) const;
  std::vector<std::string> wal_directories(const std::string& archive_id) const;
  std::vector<ArchivedSegment> archived_in(const std::string& archive_id,
                                           const std::string& wal_directory) const;
  std::vector<std::string> whole_segments(const std::string& archive_id,
                                          const std::string& wal_directory) const;
  void decode_segment(const ArchivedSegment& segment, Sink& sink) const;

  const Repository& repository_;
  ArchiveInfo info_;
  std::vector<std::string> archive_ids_;
};

}  // namespace pgrevive::repository
