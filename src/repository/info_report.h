#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "repository/recovery_points.h"
#include "repository/repository.h"

// What `pgrevive info` shows of a repository: first as values, then as the JSON that monitoring
// tools know from `pgbackrest info --output=json`, or as text.
namespace pgrevive::repository {

// The numbers are pgBackRest's, which monitoring tools compare.
enum class StanzaStatus {
  ok = 0,
  missing_stanza_path = 1,
  no_backups = 2,
  missing_stanza_data = 3,  // the stanza's folder is there and backup.info is not
  backup_missing = 6,       // the one that was asked for
  other = 99,               // see StanzaReport::failure
};
std::string_view message(StanzaStatus status);  // pgBackRest's words: "ok", "no valid backups", ...

// One of PGDATA's parts that a backup keeps outside of it.
struct ReportedLink {
  std::string name;
  std::string destination;
  std::uint32_t oid = 0;  // tablespaces only
};

// What only the manifest knows; for the one backup that was asked for.
struct BackupDetails {
  struct Database {
    std::string name;
    std::uint32_t oid = 0;
  };
  std::vector<Database> databases;  // without templates
  std::vector<ReportedLink> links;
  std::vector<ReportedLink> tablespaces;
  std::vector<std::string> damaged_files;  // with page checksum errors
};

struct ReportedBackup {
  Backup backup;
  std::optional<BackupDetails> details;
  std::optional<RecoveryPoints> recovery;
};

// The end of one timeline in the archive.
struct ReportedTimeline {
  postgres::Timeline timeline;
  std::string last_segment;
  std::optional<std::int64_t> newest_commit;  // microseconds since 1970; empty: see below
  std::size_t segments_read = 0;              // none of these has a commit, if it is empty
  std::string problem;                        // why no more was read
};

// One cluster the stanza has held.
struct ReportedDatabase {
  DatabaseHistory database;
  bool current = false;
  std::string archive_id;                   // "15-1"
  std::optional<WalArchive::Range> wal;     // empty: the archive holds no WAL of it
  std::vector<ReportedBackup> backups;      // by the time they stopped
  std::string recovery_problem;             // why `recovery` is missing though it was asked for
  std::vector<ReportedTimeline> timelines;  // where they were asked for
};

struct StanzaReport {
  std::string name;
  StanzaStatus status = StanzaStatus::ok;
  std::optional<Error> failure;  // with StanzaStatus::other
  bool encrypted = false;
  std::vector<ReportedDatabase> databases;  // oldest first
};

struct ReportOptions {
  std::optional<BackupLabel> set;  // only this backup, with its details
  // The points in time one can recover to: lists the whole archive.
  bool recovery_points = false;
  // Where it is given, the newest commit of every timeline is looked for in its last segments.
  // Tells the last one in a segment, in microseconds since 1970; empty: there is none.
  std::function<std::optional<std::int64_t>(const WalArchive&, const ArchivedSegment&)>
      newest_commit;
};

// Never throws for what a status can say.
StanzaReport report_stanza(const Repository& repository, const ReportOptions& options);
// Every stanza of a repository, in order of name.
std::vector<StanzaReport> report_repository(const std::shared_ptr<const storage::Storage>& storage,
                                            const Secret& passphrase, const ReportOptions& options);

nlohmann::json to_json(const std::vector<StanzaReport>& stanzas);
// The same as one line of text. Bytes that are no UTF-8 (in names, annotations) are replaced.
std::string to_json_text(const std::vector<StanzaReport>& stanzas);
std::string to_text(const std::vector<StanzaReport>& stanzas);

// [{"first": ..., "last": ..., "segments": ...}], wherever gaps are told as JSON.
nlohmann::json gaps_json(const std::vector<WalGap>& gaps);

}  // namespace pgrevive::repository
