#include "cluster/rebuild.h"

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/text.h"
#include "cluster/backrest_conf.h"
#include "cluster/configuration.h"
#include "cluster/dialect.h"
#include "cluster/new_cluster.h"
#include "cluster/node_files.h"
#include "cluster/notices.h"
#include "cluster/preview.h"
#include "cluster/rebuild_choice.h"
#include "cluster/restore_history.h"
#include "cluster/restore_nodes.h"
#include "repository/open.h"
#include "restore/restore.h"
#include "wal/archive_get.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;

constexpr const char* kPrimary = "primary";

// Why the backup is no way.
Error obstacle(const std::string& what) { return {ErrorKind::not_found, what}; }

std::chrono::milliseconds time_in(const PastRestore& restore, Phase phase) {
  std::int64_t ms = 0;
  for (const auto& entry : restore.phases)
    if (entry.phase == phase) ms += entry.ended_ms - entry.began_ms;
  return std::chrono::milliseconds(ms);
}

std::set<std::string> names_of(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

// Looks at both ways to make a node, and changes nothing.
class Ways {
 public:
  Ways(Site& site, const std::string& node)
      : site_(site),
        node_(node),
        primary_(NodeRecord::load(site.directory, kPrimary).value_or(NodeRecord{})),
        connection_(site.access(primary_.source_user).open(site.port(kPrimary))) {}

  const NodeRecord& primary() const { return primary_; }

  RebuildChoice choose() {
    return choose_rebuild(site_.settings.replica_rebuild, facts_to_choose());
  }

  void check_room() {
    const auto facts = facts_to_choose();
    const bool from_backup = choose_rebuild(site_.settings.replica_rebuild, facts).from_backup;
    if (from_backup) check_fits_instead(site_, node_, MadeOf::backup, facts.files, connection_);
    // A restore that fails ends in a copy too. That a copy has no holes, where only some databases
    // were restored, is no reason against a restore.
    if (!from_backup || primary_.left_out.empty())
      check_fits_instead(site_, node_, MadeOf::primary, primary_bytes(connection_), connection_);
  }

 private:
  RebuildFacts facts_to_choose() {
    return site_.settings.replica_rebuild == ReplicaRebuild::primary ? RebuildFacts{} : facts();
  }

  RebuildFacts facts() {
    RebuildFacts facts{.backup = primary_.backup_label};
    try {
      look_at_backup(facts);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      facts.obstacle = error.what();
      return facts;
    }
    facts.primary = primary_bytes(connection_);
    look_at_rates(facts);
    return facts;
  }

  void look_at_backup(RebuildFacts& facts) {
    if (primary_.backup_label.empty()) throw obstacle("the cluster was not made from one");
    if (const auto record = NodeRecord::load(site_.directory, node_);
        record && record->unfinished && !record->no_backup.empty())
      throw obstacle(record->no_backup);
    if (const auto outside = outside_tablespaces(site_.directory, kPrimary); !outside.empty())
      throw obstacle("a tablespace of the primary lies in " + outside.front().string() +
                     ", where WAL would make it a second time");
    if (primary_.archive_start.empty())
      throw obstacle("the primary was recovered without an archive");
    const auto control = load_control_file(site_.directory.data(kPrimary));
    const auto fork = wal::Fork::load(site_.directory.fork());
    const auto first = WalSegment::parse(primary_.archive_start, control.wal_segment_size);
    const auto end = primary_end(fork.history.timeline);
    facts.wal = end.value() - std::min(first.begin(), end).value();
    facts.files = bytes_to_restore();
    // Where the last one is full, the next one need not be there yet.
    const Lsn last_byte(end.value() - 1);
    look_for_wal(fork.history, first,
                 WalSegment::containing(fork.history.timeline, last_byte, control.wal_segment_size),
                 control);
  }

  // As far as the primary has written, which has to be on the timeline it was promoted to: another
  // one's history is not what its replicas are given.
  Lsn primary_end(Timeline promoted) {
    const auto row = connection_
                         .query(in_words_of(connection_.server_version(),
                                            "select pg_current_wal_lsn()::text, "
                                            "pg_walfile_name(pg_current_wal_lsn())"))
                         .at(0);
    const auto timeline = Timeline::parse_hex(row.at(1).value_or("").substr(0, 8));
    if (timeline != promoted)
      throw obstacle("the primary is on timeline " + std::to_string(timeline.value()) +
                     ", and was promoted to " + std::to_string(promoted.value()));
    return Lsn::parse(row.at(0).value_or("0/0"));
  }

  std::uint64_t bytes_to_restore() const {
    const auto repository = repository::open_repository(site_.settings.repository);
    const auto info = repository.load_backup_info();
    const auto label = repository::BackupLabel::parse(primary_.backup_label);
    const auto* backup = info.find(label);
    if (backup == nullptr)
      throw obstacle("the repository has no backup " + label.text() + " any more");
    const auto data = site_.directory.data(node_);
    const bool begun = restore::interrupted_label(data) == label.text();
    if (!begun && primary_.left_out.empty()) return backup->size;
    const auto manifest = repository.load_manifest(info, label);
    std::vector<std::uint32_t> left_out;
    for (const auto& database : restore::left_out_databases(manifest, same_databases(primary_)))
      left_out.push_back(database.oid);
    std::uint64_t bytes = 0;
    for (const auto& file : manifest.files)
      if (!restore::is_zeroed(file.name, left_out) && !(begun && lies_there(data, file)))
        bytes += file.size;
    return bytes;
  }

  // Whether it will be right is seen when it is read.
  static bool lies_there(const std::filesystem::path& data, const repository::ManifestFile& file) {
    constexpr std::string_view kRoot = "pg_data/";
    const std::string_view name = file.name;
    std::error_code gone;
    const auto size = std::filesystem::file_size(
        data / (name.starts_with(kRoot) ? name.substr(kRoot.size()) : name), gone);
    return !gone && size == file.size;
  }

  void look_for_wal(const postgres::TimelineHistory& history, const WalSegment& first,
                    const WalSegment& last, const postgres::ControlFile& control) {
    WalStock stock;
    // Before the archives: what the primary removes meanwhile is in one by then.
    stock.primary = kept_by_primary(history.timeline, control.wal_segment_size);
    const auto repository = repository::open_repository(site_.settings.repository);
    stock.source = listed(repository, history, first, control);
    if (site_.settings.archives()) {
      const auto own = repository::open_repository(
          own_archive(site_.settings, site_.directory, site_.marker.archive_suffix));
      const repository::WalArchive archive(own, own.load_archive_info(), control.system_id,
                                           site_.version);
      stock.own =
          names_of(archive.list_segments(history.timeline, first.on(history.timeline).name()));
    }
    if (const auto missing = missing_segment(history, first, last, stock))
      throw obstacle("WAL segment " + *missing +
                     " is in no archive, and the primary does not keep it");
  }

  std::set<std::string> listed(const repository::Repository& repository,
                               const postgres::TimelineHistory& history, const WalSegment& first,
                               const postgres::ControlFile& control) const {
    const repository::WalArchive archive(repository, repository.load_archive_info(),
                                         control.system_id, site_.version);
    std::set<std::string> all;
    for (const auto& ancestor : history.ancestors)
      all.merge(
          names_of(archive.list_segments(ancestor.timeline, first.on(ancestor.timeline).name())));
    return all;
  }

  // What it holds for this replica, by its slot, and what still has to be archived.
  std::set<std::string> kept_by_primary(Timeline timeline, std::uint32_t segment_size) {
    const auto held =
        connection_.value("select restart_lsn::text from pg_replication_slots where slot_name = $1",
                          {slot_name(node_)});
    const auto wal = wal_directory(site_, kPrimary);
    std::set<std::string> kept;
    std::error_code ignored;
    for (const auto& path : entries_if_exists(wal)) {
      const auto name = path.filename().string();
      if (postgres::wal_file_kind(name) != postgres::WalFileKind::segment) continue;
      const auto segment = WalSegment::parse(name, segment_size);
      if (segment.timeline() != timeline) continue;
      if ((held && segment.end() > Lsn::parse(*held)) ||
          std::filesystem::exists(wal / "archive_status" / (name + ".ready"), ignored))
        kept.insert(name);
    }
    return kept;
  }

  void look_at_rates(RebuildFacts& facts) const {
    facts.restore.bytes_per_second = kUsualRestore;
    facts.replay.bytes_per_second = kReplayRate;
    facts.copy.bytes_per_second = kUsualCopy;
    for (const auto& restore : load_restores(site_.directory)) {
      const auto& progress = restore.progress;
      if (!facts.restore.measured && progress.bytes_done == progress.bytes_total)
        facts.restore = rate_of(progress.bytes_done - progress.bytes_kept,
                                time_in(restore, Phase::restoring), kUsualRestore);
      if (!facts.replay.measured && restore.backup_label == facts.backup &&
          restore.outcome == "done" && primary_.recovery_end)
        facts.replay = rate_of(replayed(), time_in(restore, Phase::recovering), kReplayRate);
    }
    for (const auto& name : node_names(site_.settings.replicas))
      if (const auto record = NodeRecord::load(site_.directory, name);
          record && !facts.copy.measured)
        facts.copy =
            rate_of(record->copied_bytes, std::chrono::milliseconds(record->copied_ms), kUsualCopy);
  }

  std::uint64_t replayed() const {
    const auto size = load_control_file(site_.directory.data(kPrimary)).wal_segment_size;
    const auto begin = WalSegment::parse(primary_.archive_start, size).begin();
    const auto end = primary_.recovery_end->fork_lsn.empty()
                         ? begin
                         : Lsn::parse(primary_.recovery_end->fork_lsn);
    return end.value() - std::min(begin, end).value();
  }

  Site& site_;
  const std::string& node_;
  NodeRecord primary_;
  postgres::Connection connection_;
};

void restore_replica(Site& site, const std::string& node, const NodeRecord& primary,
                     const std::string& why) {
  const auto old = NodeRecord::load(site.directory, node).value_or(NodeRecord{});
  remove_leftovers(site, node, Leftovers::but_restores);
  restore_nodes(site, {node},
                {.label = repository::BackupLabel::parse(primary.backup_label),
                 .databases = same_databases(primary),
                 .source_newest = {},
                 .after_promotion = true,
                 .made_because = why});
  auto record = NodeRecord::load(site.directory, node).value_or(NodeRecord{});
  record.copied_bytes = old.copied_bytes;
  record.copied_ms = old.copied_ms;
  record.save(site.directory, node);
}

}  // namespace

void check_primary_serves(const Site& site) {
  constexpr const char* kHint =
      "a replica is made anew from a primary that runs; without one it may be all that is left of "
      "what the cluster wrote: `status` says what the matter is with the primary";
  const auto record = NodeRecord::load(site.directory, kPrimary).value_or(NodeRecord{});
  std::optional<std::string> in_recovery;
  try {
    in_recovery = site.access(record.source_user)
                      .open(site.port(kPrimary))
                      .value("select pg_is_in_recovery()");
  } catch (const Error& error) {
    throw Error(ErrorKind::postgres,
                std::string("there is no primary to make it anew from: ") + error.what())
        .with_hint(kHint);
  }
  if (in_recovery != "f")
    throw Error(ErrorKind::postgres,
                "there is no primary to make it anew from: the server of primary is in recovery")
        .with_hint(kHint);
}

void check_rebuild(Site& site, const std::string& node) {
  check_primary_serves(site);
  Ways(site, node).check_room();
}

void rebuild_replica(Site& site, const std::string& node) {
  std::optional<NodeRecord> primary;
  RebuildChoice choice;
  {
    Ways ways(site, node);
    primary = ways.primary();
    choice = ways.choose();
    if (site.settings.replica_rebuild == ReplicaRebuild::backup && !choice.from_backup)
      site.board.warn(notice("copied_unasked", node, choice.obstacle));
    else
      site.board.log(node + ": " + choice.why);
  }
  if (choice.from_backup) {
    try {
      restore_replica(site, node, *primary, choice.why);
      site.board.enter(Phase::joining);
      site.prefetch.start();
      return;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      choice.why = "copied from the primary: the backup could not be restored, because " +
                   std::string(error.what());
      site.board.warn(notice("copied_instead", node, error.what()));
      site.board.enter(Phase::joining);
    }
  }
  copy_primary(site, node, choice.why);
}

bool give_backup_up(Site& site, const std::string& node, const Error& error) {
  const auto record = NodeRecord::load(site.directory, node);
  if (!record || !record->after_promotion || record->joined ||
      error.kind() == ErrorKind::cancelled || site.servers.gave_up(kPrimary))
    return false;
  NodeRecord again;
  again.unfinished = true;
  again.no_backup = "what was restored from it did not join: " + std::string(error.what());
  again.copied_bytes = record->copied_bytes;
  again.copied_ms = record->copied_ms;
  site.servers.stop(node);
  again.save(site.directory, node);
  site.board.warn(notice("copied_in_the_end", node, record->backup_label, error.what()));
  return true;
}

}  // namespace pgrevive::cluster
