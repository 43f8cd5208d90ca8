#include "cluster/doctor_repository.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/backrest_conf.h"
#include "cluster/doctor_way.h"
#include "cluster/preflight.h"
#include "cluster/preview.h"
#include "cluster/recovery_end.h"
#include "cluster/takeover.h"
#include "cluster/target_time.h"
#include "cluster/throughput.h"
#include "codec/sink.h"
#include "repository/layout.h"
#include "repository/open.h"
#include "storage/s3/probe.h"

namespace pgrevive::cluster {
namespace {

using repository::RepositoryOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr milliseconds kWayLimit{5'000};
constexpr std::uint64_t kSampleBytes = 32u << 20;
constexpr milliseconds kSampleLimit{3'000};
// Below it a sample says more of the round trip than of the line.
constexpr std::uint64_t kTellingBytes = 4u << 20;

// Most sources are backed up once a week at least, and archive all day.
constexpr std::chrono::hours kBackupAge{8 * 24};
constexpr std::chrono::hours kWalAge{24};

std::int64_t unix_now() { return system_clock::to_time_t(system_clock::now()); }

// "3.2 s ago", "5 h 10 min ago", "12 days ago".
std::string ago(std::int64_t time) {
  const std::int64_t age = std::max<std::int64_t>(unix_now() - time, 0);
  if (age >= 3 * 86'400) return fmt::format("{} days ago", age / 86'400);
  return format_duration(seconds(age)) + " ago";
}

class Examination {
 public:
  Examination(const Settings& settings, const StateDirectory& directory, Findings& findings)
      : settings_(settings), directory_(directory), findings_(findings) {
    settings_.repository = hurried(settings.repository);
  }

  std::optional<ChosenBackup> run(const std::string& archive_suffix) {
    std::string missing = examine_way();
    if (missing.empty()) {
      storage_ = repository::open_storage(settings_.repository);
      if (settings_.repository.type == RepositoryOptions::Type::posix)
        findings_.look("list", [&] { return list_directory(); });
      findings_.look("range read", [&] { return range_read(); });
    } else {
      findings_.add("range read", not_run(missing));
    }
    findings_.look("write", [&] { return write_permission(archive_suffix); });
    if (missing.empty() && !can_read_) missing = "range read";

    if (missing.empty())
      findings_.look("round trip", [&] { return round_trip(); });
    else
      findings_.add("round trip", not_run(missing));
    examine_stanza(missing);
    return std::move(chosen_);
  }

 private:
  // Returns the name of what does not work so that nothing behind it can, or nothing.
  std::string examine_way() {
    const auto& options = settings_.repository;
    if (options.type == RepositoryOptions::Type::posix) {
      for (auto& finding : no_way("a local directory")) findings_.add(finding.name, finding);
      return {};
    }
    std::string missing;
    std::vector<Finding> way;
    const bool possible = findings_.look("repository", [&] {
      const auto probe = storage::s3::probe(options.s3, kWayLimit);
      way = judge_way(options.s3, probe, system_clock::now());
      return fine(options.describe());
    });
    if (!possible) return "repository";
    for (auto& finding : way) {
      // Keys that may not list may still read.
      if (finding.result == Finding::Result::failed && finding.name != std::string("list"))
        missing = finding.name;
      findings_.add(finding.name, finding);
    }
    return missing;
  }

  Finding list_directory() {
    const auto entries = storage_->list("");
    if (entries.empty())
      return failed(storage_->describe("") + " is empty, or not there",
                    "check REPO_PATH: it is the directory that holds archive and backup");
    return fine(storage_->describe(""));
  }

  // The second half of a real object, as a restore reads it.
  Finding range_read() {
    const auto path = repository::layout::backup_info(settings_.repository.stanza);
    const auto size = storage_->stat(path);
    can_read_ = true;  // it was told whether there is one
    if (!size || *size < 2) return not_run(storage_->describe(path) + ", which is not there");
    can_read_ = false;
    const storage::Range half{.offset = *size / 2, .length = *size - *size / 2};
    MemorySink sink;
    storage_->read(path, half, sink);
    if (sink.bytes().size() != half.length)
      return failed(fmt::format("{} bytes of {} were asked for, {} came", half.length,
                                storage_->describe(path), sink.bytes().size()),
                    "the S3 server, or a proxy before it, does not do ranges");
    can_read_ = true;
    object_ = path;
    return fine(fmt::format("bytes {} to {} of backup.info", half.offset, *size - 1));
  }

  Finding write_permission(const std::string& archive_suffix) {
    if (!settings_.archives()) return not_applicable("not needed: the repository is only read");
    if (settings_.wal_archive == WalArchiveMode::source)
      return not_applicable(
          "WAL_ARCHIVE=source will write here, into the source's stanza; not tried");
    const auto archive = own_archive(settings_, directory_, archive_suffix);
    return not_applicable(fmt::format(
        "not needed here, and not tried; WAL_ARCHIVE=own will write to {}, which start tries first",
        archive.describe()));
  }

  Finding round_trip() {
    if (object_.empty()) return not_run("backup.info");
    const auto time = measure_round_trip(*storage_, object_);
    return fine(fmt::format("{:.1f} ms, the median of some requests",
                            static_cast<double>(time.count()) / 1000));
  }

  void examine_stanza(const std::string& missing) {
    const std::vector<std::string> rest{
        "stanza",     "cipher",     "newest backup",     "chosen backup",
        "throughput", "newest WAL", "WAL of the backup", "target in reach"};
    const auto give_up = [&](std::size_t from, const std::string& needed) {
      for (auto i = from; i < rest.size(); ++i) findings_.add(rest[i], not_run(needed));
    };
    if (!missing.empty()) return give_up(0, missing);

    const auto repository = repository::open_repository(settings_.repository);
    std::optional<repository::BackupInfo> backups;
    std::optional<repository::ArchiveInfo> archive;
    std::optional<Error> closed;  // the stanza is there, but it cannot be opened
    const bool there = findings_.look("stanza", [&] {
      try {
        backups = repository.load_backup_info();
        archive = repository.load_archive_info();
      } catch (const Error& error) {
        // A passphrase that is wrong, missing or not wanted is the only thing that the user can
        // have set wrongly here.
        if (error.kind() != ErrorKind::usage) throw;
        closed = error;
        return fine(settings_.repository.stanza);
      }
      return fine(
          fmt::format("{}, with {} backups", settings_.repository.stanza, backups->backups.size()));
    });
    if (!there) return give_up(1, "stanza");
    const bool opened = findings_.look("cipher", [&] {
      if (closed) throw Error(*closed);
      return fine(repository.encrypted() ? "the passphrase is right" : "not encrypted");
    });
    if (!opened) return give_up(2, "cipher");

    findings_.look("newest backup", [&] { return newest_backup(*backups); });
    if (!findings_.look("chosen backup", [&] { return choose(); }))
      return give_up(4, "chosen backup");
    findings_.look("throughput", [&] { return throughput(); });
    examine_archive(repository, *archive);
  }

  Finding newest_backup(const repository::BackupInfo& info) {
    if (info.backups.empty())
      return failed("the stanza has no finished backup", "make one: pgbackrest backup");
    const auto& backup = info.backups.back();
    const auto detail = backup.label.text() + ", " + ago(backup.timestamp_stop);
    if (unix_now() - backup.timestamp_stop > seconds(kBackupAge).count())
      return warning(detail, "see to the backups of the source, if there still is one");
    return fine(detail);
  }

  Finding choose() {
    chosen_ = backup_for(settings_, directory_);
    const auto& backup = chosen_->backup;
    const auto detail = fmt::format("{}, {}", backup.label.text(), format_bytes(backup.size));
    if (backup.error.value_or(false))
      return warning(detail + ", with pages whose checksums were wrong when it was made",
                     "`pgrevive info --set " + backup.label.text() +
                         "` names the files; RESTORE_SET chooses another backup");
    return fine(detail);
  }

  Finding throughput() {
    const auto& backup = chosen_->backup;
    const auto sample = measure_throughput(*storage_, settings_.repository.stanza, backup,
                                           kSampleBytes, kSampleLimit);
    if (!sample) return not_applicable("the backup has no object to try it on");
    const auto time = std::chrono::duration_cast<milliseconds>(sample->time);
    if (sample->bytes < kTellingBytes && time < kSampleLimit)
      return fine(fmt::format("{} in {} ms, too little to tell a rate", format_bytes(sample->bytes),
                              time.count()));
    const auto rate = sample->bytes_per_second();
    std::string detail = fmt::format("{}/s ({} by {} requests at a time)",
                                     format_bytes(static_cast<std::uint64_t>(rate)),
                                     format_bytes(sample->bytes), sample->requests);
    if (backup.repository_size && rate > 0)
      detail +=
          fmt::format("; the backup's {} would take {}", format_bytes(*backup.repository_size),
                      format_duration(milliseconds(static_cast<std::int64_t>(
                          static_cast<double>(*backup.repository_size) * 1000 / rate))));
    return fine(detail);
  }

  void examine_archive(const repository::Repository& repository,
                       const repository::ArchiveInfo& info) {
    std::optional<repository::WalArchive> archive;
    findings_.look("newest WAL", [&] {
      const auto* database = chosen_->info.database(chosen_->backup.database_id);
      if (database == nullptr)
        return failed("backup.info does not know the cluster of the backup",
                      "choose another backup with RESTORE_SET");
      archive.emplace(repository, info, database->system_id, database->version);
      return newest_wal(*archive);
    });
    if (!archive) {
      findings_.add("WAL of the backup", not_run("newest WAL"));
      return findings_.add("target in reach", not_run("newest WAL"));
    }
    if (!findings_.look("WAL of the backup", [&] { return wal_of_backup(*archive); }))
      return findings_.add("target in reach", not_run("WAL of the backup"));
    findings_.look("target in reach", [&] { return recovery_target(); });
    if (settings_.wal_archive == WalArchiveMode::source && needs_restore(settings_, directory_))
      findings_.look("source is gone", [&] {
        refuse_living_source(settings_, *chosen_);
        return fine("nothing in the archive says that its primary lives");
      });
  }

  Finding newest_wal(const repository::WalArchive& archive) {
    for (const auto& id : archive.archive_ids()) {
      const auto range = archive.range(id);
      if (!range) continue;
      const auto directory =
          repository::layout::wal_directory(settings_.repository.stanza, id, range->max);
      std::int64_t modified = 0;
      for (const auto& entry : storage_->list(directory))
        if (entry.name.starts_with(range->max)) modified = entry.modified;
      if (modified == 0) return fine(range->max);
      const auto detail = range->max + ", " + ago(modified);
      if (unix_now() - modified > seconds(kWalAge).count())
        return warning(detail,
                       "if the source still runs, its archiving stands still: see "
                       "pg_stat_archiver and the server's log there");
      return fine(detail);
    }
    if (!chosen_->backup.online) return warning("none", "recovery ends where the backup does");
    return failed("the archive holds no WAL of this cluster",
                  "a backup made online cannot be recovered without: choose one with RESTORE_SET "
                  "that was made offline, or bring the WAL back");
  }

  // Whether the archive leads there, as `start` asks before it fetches anything.
  Finding recovery_target() {
    const auto outlook = look_ahead(settings_, *chosen_, false);
    if (outlook.problem) return failed(outlook.problem->what(), outlook.problem->hint());
    const auto target = describe(settings_.target);
    if (!outlook.certain)
      return fine(target + (lies_in_records(settings_.target)
                                ? "; start looks for it in the WAL before it fetches anything"
                                : "; whether the archive leads there, recovery will show"));
    return fine(outlook.segments == 0 ? target
                                      : fmt::format("{}: {} WAL segments, up to {}", target,
                                                    outlook.segments, outlook.last_segment));
  }

  // What it needs to become consistent. Only the ends: each is a look, and a gap in between is
  // found by the look at the target.
  Finding wal_of_backup(const repository::WalArchive& archive) {
    const auto& backup = chosen_->backup;
    if (!backup.archive_start || !backup.archive_stop)
      return not_applicable("the backup was made offline");
    for (const auto& segment : {*backup.archive_start, *backup.archive_stop})
      if (!archive.find_segment(segment))
        return failed(fmt::format("backup {} needs {}, which is not in the archive",
                                  backup.label.text(), segment),
                      "choose another backup with RESTORE_SET; `pgrevive info` says which are "
                      "complete");
    return fine(*backup.archive_stop + " is there");
  }

  Settings settings_;
  const StateDirectory& directory_;
  Findings& findings_;
  std::shared_ptr<const storage::Storage> storage_;
  bool can_read_ = false;
  std::string object_;  // that is there and can be read
  std::optional<ChosenBackup> chosen_;
};

}  // namespace

RepositoryOptions hurried(RepositoryOptions options) {
  options.s3.backoff.attempts = 2;
  options.s3.connect_timeout = kWayLimit;
  options.s3.stall_timeout = 2 * kWayLimit;
  return options;
}

std::optional<ChosenBackup> examine_repository(const Settings& settings,
                                               const StateDirectory& directory,
                                               const std::string& archive_suffix,
                                               Findings& findings) {
  return Examination(settings, directory, findings).run(archive_suffix);
}

}  // namespace pgrevive::cluster
