#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/furthest_end.h"
#include "cluster/progress.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "restore/databases.h"

namespace pgrevive::cluster {

// What the source's archive held: of each timeline (1, 2, ...) the newest segment, empty where
// there was only its history file.
using SourceState = std::map<std::uint32_t, std::string>;

// pgrevive-node.json: where a node's data came from and how far it was brought. It outlives the
// supervisor, and is what makes `start` go on where it stopped.
struct NodeRecord {
  // Its data directory is being made by initdb or pg_basebackup, which leave something that looks
  // whole when they are interrupted.
  bool unfinished = false;

  std::string backup_label;  // empty: made by initdb or copied from the primary
  std::int64_t made_ms = 0;  // Unix milliseconds; when its files were whole
  // Of that backup:
  bool online = true;
  // The first and last segment the backup needs, and the LSN it is consistent at. An offline backup
  // needs none; of the primary that was restored from it `archive_start` and `lsn_stop` are where
  // its checkpoint is, from which the archive is replayed; empty: there is no archive to replay.
  std::string archive_start, archive_stop;
  std::string lsn_stop;
  std::string source_user;  // who owned the source's data directory
  // Databases of the backup that its files have no content of.
  std::vector<restore::Database> left_out;

  // Of the primary:
  std::uint32_t line = 0;  // the timeline that recovery is on the way to; 0: it has not begun
  // Of that line, once it has begun; before, of the one that was judged.
  FurthestEnd furthest;
  // What its recovery was told to end at, with the timeline, in words; empty: it has not begun, or
  // was begun by a program that did not note it.
  std::string recovery_target;
  bool promoting = false;  // it was told to become a primary; it may have begun to
  bool promoted = false;
  bool set_up = false;              // roles, database, quarantine
  bool archiving = false;           // a segment was seen to arrive in the archive ...
  std::string archived_as = "own";  // ... of that WAL_ARCHIVE
  // Where the cluster's own stanza is that it made; empty: it made none, or by a program that did
  // not note it.
  std::string archive_place;
  // The newest backup that was seen in the cluster's own archive; empty: none.
  std::string own_backup;
  // For WAL_ARCHIVE=source: see cluster/takeover.h. Empty: it was not restored for that.
  std::optional<SourceState> source_newest;
  // It was given the source's stanza to archive into, so its own timeline may be there.
  bool took_over = false;
  std::string superuser;               // the role that let us in
  std::vector<std::string> databases;  // when it had been promoted
  std::optional<RecoveryEnd> recovery_end;

  // Of a replica: it streamed once from this cluster's primary, so the source is of no more use.
  bool joined = false;
  // It was restored when its primary had gone on from the backup already, so it takes the WAL since
  // then from the cluster's own archive.
  bool after_promotion = false;
  // Why it was made of what it was made of, of one that was made after the promotion.
  std::string made_because;
  // Of an unfinished one: why it is not to be restored from the backup; empty: nothing is against
  // it.
  std::string no_backup;
  // How the last copy of the primary went that was made for it; 0: there was none.
  std::uint64_t copied_bytes = 0;
  std::int64_t copied_ms = 0;

  bool archives_as(WalArchiveMode mode) const { return archiving && archived_as == name_of(mode); }

  // Throws Error{corrupt}, naming the `path` it was read from.
  static NodeRecord parse(const std::string& text, const std::filesystem::path& path);
  static std::optional<NodeRecord> load(const StateDirectory& directory, const std::string& node);
  void save(const StateDirectory& directory, const std::string& node) const;
};

}  // namespace pgrevive::cluster
