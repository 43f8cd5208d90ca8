#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "postgres/history.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "repository/repository.h"
#include "wal/followed_line.h"
#include "wal/tablespace_guard.h"

namespace pgrevive::wal {

// What a replica may take from the source's archive: its primary left that archive's history at a
// fork and writes a timeline of its own since (design: fork rule). From the source come only
// segments of the fork's ancestors that end at or before the point where each was left; history
// files only of the fork's own line, of which the newest is `history_text` itself.
struct Fork {
  postgres::TimelineHistory history;  // of the primary's timeline
  std::string history_text;

  // "TIMELINE\n" and then the history file's text, as save() writes it. Throws Error{corrupt} that
  // names the file.
  static Fork load(const std::filesystem::path& file);
  static Fork parse(const std::string& text, const std::filesystem::path& file);
  void save(const std::filesystem::path& file) const;

  // Whether the rule lets a file of that name come from the source's archive. Pure.
  bool allows(std::string_view wal_name, std::uint32_t segment_size) const;
  // Whether it is a segment that the primary wrote after the fork, which only the cluster's own
  // archive may give. Pure.
  bool is_own(std::string_view wal_name) const;
};

enum class Outcome {
  delivered,  // the file is in place, whole and checked
  absent,     // a successful look into every repository found none
};

struct Request {
  std::string name;                   // what %f says
  std::filesystem::path destination;  // what %p says
  std::optional<Fork> fork;           // replicas only
  std::optional<FollowedLine> line;   // of a server without a fork, where it is known
  // Of a segment of the fork's own timeline: `archives` are the cluster's own, and the fork has no
  // say in it.
  bool own = false;
  // The cluster that asks, to check a segment's own header against; 0 and empty: not checked.
  std::uint64_t system_id = 0;
  std::optional<postgres::Version> version;
  // Whether segments are looked through for tablespaces that must not be made.
  const TablespaceGuard* guard = nullptr;
  // How long to go on looking where a gap shows: a source that lives pushes several segments at
  // once, and a later one may be there first.
  std::chrono::milliseconds gap_patience{10'000};
};

// Answers one restore_command: segments, ".partial" segments (only when asked for by that name),
// history and backup history files. Any other name is Error{usage}.
//
// The file comes into place by rename, from DESTINATION.pgrevive.tmp beside it, after it was
// checked and synced: a segment's SHA-1, its length, and in its header the cluster, the position
// and the segment size, so that a file of another cluster or under a wrong name is Error{corrupt}.
//
// A segment whose absence is a gap (see wal/gap.h) is Error{corrupt} that says why, never `absent`.
// A replica with a fork gets `absent`, of its cluster's own archive too: it is a standby, which
// never takes that for the end of the log but asks its primary next.
//
// Of a server whose line is known, the segment in which that line left a timeline comes with zeros
// from there on, as what follows is of another line, and where it is not there, of its ".partial";
// also the ".partial" of the line's own end. What lies behind is `absent`, and a hole in the line
// is a gap whatever other timelines there are.
//
// With a guard, a segment whose replay would make a tablespace where another cluster keeps files
// comes without that record and what follows it, so that targets before it can be reached; asked
// for it again and again, which a server does that has replayed all before it,
// Error{target_not_empty}.
//
// Repositories are tried in order; trouble with one is reported only if no other delivers. Anything
// but the two outcomes throws.
Outcome archive_get(const std::vector<const repository::WalArchive*>& archives,
                    std::uint32_t segment_size, const Request& request);

// The exit status for PostgreSQL: 0 delivered, 1 absent; every Error is above 125 (200 and the
// kind's distance from the first one), because PostgreSQL takes 1 to 125 as "no such file" and may
// open the cluster with data missing.
int exit_status(Outcome outcome);
int exit_status(const Error& error);

}  // namespace pgrevive::wal
