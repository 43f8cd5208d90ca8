#include "cluster/recovery_source.h"

#include "base/error.h"
#include "cluster/notices.h"
#include "cluster/recovery_way.h"
#include "repository/open.h"
#include "wal/transaction_times.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::WalSegment;

Lsn passed(const NodeRecord& record, const WalSegment& begin) {
  return record.lsn_stop.empty() ? begin.begin() : Lsn::parse(record.lsn_stop);
}

std::string wanted_line(const Settings& settings, const NodeRecord& record) {
  auto wanted = wanted_timeline(settings.target);
  return wants_latest(wanted) && record.line != 0 ? std::to_string(record.line) : wanted;
}

}  // namespace

bool replays_archive(const NodeRecord& record, const restore::RecoveryTarget& target) {
  if (record.online) return true;
  return target.type != restore::RecoveryType::immediate && !record.archive_start.empty();
}

RecoverySource::RecoverySource(const Settings& settings, postgres::Version version,
                               const NodeRecord& record, const postgres::ControlFile& control)
    : repository_(repository::open_repository(settings.repository)),
      archive_(repository_, repository_.load_archive_info(), control.system_id, version),
      begin_(WalSegment::parse(record.archive_start, control.wal_segment_size)),
      start_(passed(record, begin_)),
      line_(choose_line(archive_, begin_.timeline(), start_, wanted_line(settings, record))) {}

NewerLines RecoverySource::newer(postgres::Timeline on, Lsn position) const {
  return newer_lines(archive_, line_, begin_.timeline(), start_, on, position);
}

std::optional<std::string> RecoverySource::history(postgres::Timeline timeline) const {
  return archive_.load_history(postgres::TimelineHistory::file_name(timeline));
}

std::optional<std::int64_t> RecoverySource::newest_transaction(Lsn until) const {
  const auto size = begin_.segment_size();
  for (auto number = (until.value() - 1) / size + 1; number-- > begin_.number();) {
    const auto segment = archive_.find_segment(segment_on(line_.history, number, size).name());
    if (!segment) continue;
    wal::TransactionTimes times(until);
    archive_.read_segment(*segment, times);
    if (times.times()) return times.times()->latest;
  }
  return {};
}

std::optional<ArchiveEnd> RecoverySource::newest() const {
  return newest_on(line_, archive_, begin_);
}

void note_offline_beginning(Site& site, NodeRecord& record, const postgres::ControlFile& control) {
  if (!record.archive_start.empty()) return;
  try {
    const auto repository = repository::open_repository(site.settings.repository);
    const repository::WalArchive archive(repository, repository.load_archive_info(),
                                         control.system_id, site.version);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    site.board.warn(notice("offline_backup_alone", error.what()));
    return;
  }
  record.archive_start = WalSegment::containing(control.checkpoint_timeline, control.checkpoint,
                                                control.wal_segment_size)
                             .name();
  record.lsn_stop = control.checkpoint.text();
  record.save(site.directory, "primary");
}

}  // namespace pgrevive::cluster
