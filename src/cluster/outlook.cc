#include "cluster/outlook.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/archive_line.h"
#include "cluster/offline_beginning.h"
#include "cluster/recovery_end.h"
#include "cluster/recovery_way.h"
#include "cluster/target_time.h"
#include "postgres/wal_name.h"
#include "repository/stored_wal.h"
#include "wal/record_reader.h"
#include "wal/transaction_times.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;
using repository::Backup;
using repository::RecoveryLine;
using restore::RecoveryTarget;
using restore::RecoveryType;

// How many segments without the end of any transaction are looked through where one is only wanted
// to say more.
constexpr std::uint64_t kQuietSegments = 16;
constexpr Lsn kNoEnd{std::numeric_limits<std::uint64_t>::max()};
constexpr std::chrono::seconds kGapsClose{2};
constexpr int kLooks = 5;

std::string moment(std::int64_t microseconds) {
  const std::chrono::system_clock::time_point time{std::chrono::microseconds(microseconds)};
  return format_time(time);
}

std::string moment_of(const Backup& backup) { return moment(backup.timestamp_stop * 1'000'000); }

class Judge {
 public:
  Judge(const Backup& backup, RecoveryLine line, const postgres::TimelineHistory& history,
        std::uint32_t segment_size, const RecoveryTarget& target, const SegmentLook& look,
        bool exact)
      : backup_(backup),
        line_(std::move(line)),
        history_(history),
        target_(target),
        look_(look),
        exact_(exact),
        first_(WalSegment::parse(*backup.archive_start, segment_size)),
        stop_(WalSegment::parse(*backup.archive_stop, segment_size)),
        last_(WalSegment::parse(line_.last_segment, segment_size)) {
    outlook_.timeline = history_.timeline;
    outlook_.first_segment = *backup.archive_start;
    outlook_.segment_size = segment_size;
    outlook_.gaps = line_.gaps;
    outlook_.end = line_.end;
  }

  Outlook run() {
    switch (target_.type) {
      case RecoveryType::immediate:
        need(stop_.number());
        break;
      case RecoveryType::standby:  // has another source of WAL than the archive
        need(last_.number());
        break;
      case RecoveryType::latest:
        need(last_.number());
        if (!line_.gaps.empty())
          too_far(fmt::format("the WAL archive has a gap: {}", gap_text(line_.gaps.front())));
        break;
      case RecoveryType::lsn:
        judge_lsn(Lsn::parse(target_.target));
        break;
      case RecoveryType::time:
        judge_time(parse_target_microseconds(target_.target));
        break;
      case RecoveryType::name:
      case RecoveryType::xid:
        need(last_.number());
        outlook_.certain = false;
        break;
      case RecoveryType::none:
      case RecoveryType::preserve:
        break;
    }
    return std::move(outlook_);
  }

 private:
  void need(std::uint64_t last) {
    outlook_.last_segment = name_of(last);
    outlook_.segments = last - first_.number() + 1;
  }

  void judge_lsn(Lsn lsn) {
    const Lsn consistent = backup_.lsn_stop.value_or(stop_.begin());
    if (lsn < consistent) {
      fail(fmt::format("the target LSN {} lies before {}, where backup {} became consistent",
                       lsn.text(), consistent.text(), backup_.label.text()));
    } else if (lsn >= line_.end) {
      too_far(fmt::format("the target LSN {} is not in the archive, which {} {}", lsn.text(),
                          line_.gaps.empty() ? "ends at" : "has a gap at", line_.end.text()));
    } else if (behind_newest_record(lsn)) {
      reached_ = std::max(consistent, *newest_record_);
      too_far(fmt::format("the target LSN {} is not in the archive, whose newest record{} {}",
                          lsn.text(), line_.gaps.empty() ? "" : " before its gap",
                          newest_record_->is_valid() ? "begins at " + newest_record_->text()
                                                     : "begins before " + line_.last_segment));
    } else {
      need(lsn.value() / first_.segment_size());
    }
  }

  // PostgreSQL stops at the first record that begins at the target or behind it, so there must be
  // one. What a segment that was switched early has left is empty.
  bool behind_newest_record(Lsn lsn) {
    if (lsn < last_.begin()) return false;
    newest_record_ = look_.newest_record(line_.last_segment);
    return newest_record_ && lsn > *newest_record_;
  }

  void judge_time(std::int64_t time) {
    if (time / 1'000'000 < backup_.timestamp_stop) {
      fail(fmt::format("the target time {} lies before {}, when backup {} ended", target_.target,
                       moment_of(backup_), backup_.label.text()));
      return;
    }
    need(last_.number());
    // Before the backup's end no transaction stops recovery, so that none at all is an answer too.
    const auto newest = newest_at(last_.number(), last_.number() - stop_.number() + 1);
    outlook_.newest_transaction = newest;
    if (!newest) {
      too_far(fmt::format(
          "the target time {} is not in the archive, where no transaction ended since "
          "backup {}{}",
          target_.target, backup_.label.text(), line_.gaps.empty() ? "" : ", as far as its gap"));
      return;
    }
    if (!ends_recovery(target_, *newest, time)) {
      too_far(fmt::format(
          "the target time {} is not in the archive, where the newest transaction"
          "{} is of {}",
          target_.target, line_.gaps.empty() ? "" : " before its gap", moment(*newest)));
      return;
    }
    if (exact_) need(first_that_stops(time));
  }

  // Of the segment, or of the nearest before it in which a transaction ended.
  std::optional<std::int64_t> newest_at(std::uint64_t number, std::uint64_t most) const {
    for (std::uint64_t i = 0; i < most && number - i >= first_.number(); ++i) {
      if (const auto time = look_.latest_transaction(name_of(number - i), line_.end)) return time;
      if (number == i) break;
    }
    return {};
  }

  // Transactions end in the order of the log, nearly.
  std::uint64_t first_that_stops(std::int64_t time) const {
    auto low = stop_.number();
    auto high = last_.number();  // known to stop
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      // What lies below `low` does not stop it.
      const auto newest = newest_at(middle, middle - low + 1);
      if (newest && ends_recovery(target_, *newest, time)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return high;
  }

  // What a line without WAL of its own takes from another one ends on that.
  std::string name_of(std::uint64_t number) const {
    if (number == last_.number()) return line_.last_segment;
    return segment_on(history_, number, first_.segment_size()).name();
  }

  // Behind what the continuous WAL reaches.
  void too_far(std::string what) {
    outlook_.ends_at_gap = !line_.gaps.empty();
    fail(std::move(what));
  }

  void fail(std::string what) {
    std::string reach =
        fmt::format("backup {} can be recovered from {}, LSN {}", backup_.label.text(),
                    moment_of(backup_), backup_.lsn_stop.value_or(stop_.begin()).text());
    const auto newest = outlook_.newest_transaction ? outlook_.newest_transaction
                                                    : newest_at(last_.number(), kQuietSegments);
    outlook_.newest_transaction = newest;
    // Nothing may have been committed since the backup.
    const bool later = newest && *newest >= backup_.timestamp_stop * 1'000'000;
    reach += fmt::format(" to {}LSN {}", later ? moment(*newest) + ", " : "",
                         reached_.value_or(line_.end).text());
    if (!line_.gaps.empty() && target_.type != RecoveryType::latest)
      reach += "; " + gap_text(line_.gaps.front());
    outlook_.problem = Error(ErrorKind::not_found, std::move(what))
                           .with_hint(reach + fmt::format(" on timeline {}; an older backup "
                                                          "(--set, RESTORE_SET) may reach other "
                                                          "points: see `pgrevive info`",
                                                          line_.timeline.value()));
  }

  const Backup& backup_;
  const RecoveryLine line_;
  const postgres::TimelineHistory& history_;
  const RecoveryTarget& target_;
  const SegmentLook& look_;
  const bool exact_;
  const WalSegment first_;
  const WalSegment stop_;
  const WalSegment last_;
  std::optional<Lsn> newest_record_;
  std::optional<Lsn> reached_;  // where that is known better than by the last segment's end
  Outlook outlook_;
};

}  // namespace

std::string gap_text(const repository::WalGap& gap) {
  return gap.count == 1
             ? fmt::format("segment {} is missing", gap.first)
             : fmt::format("segments {} to {} ({}) are missing", gap.first, gap.last, gap.count);
}

Error lacks_its_wal(const Backup& backup, const repository::RecoveryPoints& points) {
  return Error(ErrorKind::not_found,
               fmt::format("the archive has no {}, and backup {} is not consistent without the WAL "
                           "from {} to {}",
                           points.missing, backup.label.text(), *backup.archive_start,
                           *backup.archive_stop))
      .with_hint(
          "choose another backup (--set, RESTORE_SET), or look why archiving on the source "
          "lost it");
}

Outlook judge_target(const Backup& backup, const repository::RecoveryPoints& points,
                     std::uint32_t segment_size, const postgres::TimelineHistory& line,
                     const RecoveryTarget& target, const SegmentLook& look, bool exact) {
  if (!points.missing.empty()) {
    Outlook outlook;
    outlook.timeline = line.timeline;
    outlook.problem = lacks_its_wal(backup, points);
    outlook.lacks_own_wal = true;
    return outlook;
  }
  return Judge(backup, line_to(line, points, segment_size), line, segment_size, target, look, exact)
      .run();
}

Chosen how_chosen(const std::optional<std::string>& set) {
  return set && *set != "latest" ? Chosen::by_name : Chosen::for_target;
}

void lead_to(Outlook& outlook, const TargetPoint& point) {
  if (outlook.problem) return;
  outlook.certain = true;
  if (outlook.first_segment.empty()) return;  // of an offline backup
  const auto last = WalSegment::parse(point.segment, outlook.segment_size);
  const auto first = WalSegment::parse(outlook.first_segment, outlook.segment_size);
  outlook.last_segment = last.name();
  outlook.segments = last.number() - first.number() + 1;
}

namespace {

// "backup LABEL (newest transaction: ...)".
std::string way_along(const postgres::TimelineHistory& history, const repository::BackupInfo& info,
                      const Backup& like, const repository::WalArchive& archive,
                      std::uint32_t segment_size, const LatestTransaction& latest) {
  const auto found =
      std::ranges::find_if(info.backups.rbegin(), info.backups.rend(), [&](const Backup& backup) {
        return backup.database_id == like.database_id && backup.archive_start && backup.lsn_stop &&
               history.passes(Timeline::parse_hex(backup.archive_start->substr(0, 8)),
                              *backup.lsn_stop);
      });
  if (found == info.backups.rend()) return "no backup that there is";
  const auto newest = newest_on({.history = history}, archive,
                                WalSegment::parse(*found->archive_start, segment_size));
  auto time = newest ? latest(newest->segment.name(), kNoEnd) : std::nullopt;
  if (newest && !time && newest->unfinished)
    time = latest(segment_on(history, newest->segment.number() - 1, segment_size).name(), kNoEnd);
  return fmt::format("backup {}{}", found->label.text(),
                     time ? ", newest transaction " + moment(*time) : "");
}

// `line` is the backup's own, `rival` the newer one that left it.
Error ambiguous(const Backup& backup, const std::string& own_way, Timeline line,
                const postgres::TimelineHistory& rival, const std::string& rival_way) {
  const auto begin = Timeline::parse_hex(backup.archive_start->substr(0, 8));
  const auto left =
      std::ranges::find(rival.ancestors, begin, &postgres::TimelineHistory::Ancestor::timeline);
  return Error(ErrorKind::usage,
               fmt::format(
                   "the archive has timeline {} too, which left {}before backup {} ended; "
                   "which of both is the source's cannot be known from here",
                   rival.timeline.value(),
                   left == rival.ancestors.end()
                       ? ""
                       : fmt::format("timeline {} at {}, ", begin.value(), left->ended.text()),
                   backup.label.text()))
      .with_hint(fmt::format("name it with --target-timeline (RECOVERY_TARGET_TIMELINE): {} begins "
                             "with {}; {} with {}",
                             rival.timeline.value(), rival_way, line.value(), own_way));
}

// Reads segments, and tells of it.
class Reader {
 public:
  Reader(const repository::WalArchive& archive, const PointWatch& watch, std::uint64_t most)
      : archive_(archive), watch_(watch), most_(most) {}

  std::optional<std::int64_t> latest_transaction(const std::string& name, Lsn until) {
    wal::TransactionTimes times(until);
    if (!read(name, times) || !times.times()) return {};
    return times.times()->latest;
  }

  std::optional<Lsn> newest_record(const std::string& name) {
    struct Nobody : wal::RecordVisitor {
      std::size_t wanted(ByteView /*header*/) override { return 0; }
      void record(Lsn /*begin*/, Lsn /*end*/, ByteView /*bytes*/) override {}
    } nobody;
    wal::RecordReader reader(nobody);
    if (!read(name, reader)) return {};
    return reader.newest();
  }

 private:
  bool read(const std::string& name, Sink& sink) {
    if (watch_.stop.stop_requested())
      throw Error(ErrorKind::cancelled,
                  "interrupted while the target was looked for in the archive");
    const auto segment = archive_.find_segment(name);
    if (!segment) return false;
    archive_.read_segment(*segment, sink);
    if (watch_.progress) watch_.progress(++read_, most_);
    return true;
  }

  const repository::WalArchive& archive_;
  const PointWatch& watch_;
  const std::uint64_t most_;
  std::uint64_t read_ = 0;
};

// Whether recovery along a line beside the followed one would reach the target as well, and give
// other rows; or, where all there is is wanted, newer ones.
class BesideJudge {
 public:
  BesideJudge(const repository::ArchiveContents& contents, const postgres::TimelineHistory& line,
              const RecoveryTarget& target, std::uint64_t first, Reader& reader)
      : contents_(contents), line_(line), target_(target), first_(first), reader_(reader) {}

  // Fills in `beside.newest`. `newest` is the followed line's newest transaction.
  std::optional<Error> judge(LineBeside& beside, std::optional<std::int64_t> newest) {
    const auto history = contents_.line(beside.timeline);
    beside.newest = newest_on(history, number_before(beside.end), number_of(beside.parting));
    // Of what both have; the segment in which they part has a part of it.
    const auto shared = newest_on(history, number_before(beside.parting), first_, beside.parting);
    // Of what it has for itself.
    const bool own = beside.newest && (!shared || *beside.newest > *shared);
    if (own) beside.went_on = true;
    switch (target_.type) {
      case RecoveryType::latest:
        newest = std::max(newest, shared);
        if (own && (!newest || *beside.newest > *newest))
          return ambiguous(beside,
                           fmt::format("what timeline {} has is older{}", line_.timeline.value(),
                                       newest ? ", of " + moment(*newest) : ""));
        return {};
      case RecoveryType::lsn:
        return reaches(beside, Lsn::parse(target_.target)) ? holds_it_too(beside) : std::nullopt;
      case RecoveryType::time: {
        const auto time = parse_target_microseconds(target_.target);
        if (!beside.newest || !ends_recovery(target_, *beside.newest, time)) return {};
        // It ends before both part.
        if (shared && ends_recovery(target_, *shared, time)) return {};
        return holds_it_too(beside);
      }
      case RecoveryType::name:
      case RecoveryType::xid:  // looked up in the records
      case RecoveryType::immediate:
      case RecoveryType::standby:
      case RecoveryType::none:
      case RecoveryType::preserve:
        break;
    }
    return {};
  }

  // The newest transaction of a line that ended up to `until`, from segment number `last` back to
  // `first`.
  std::optional<std::int64_t> newest_on(const postgres::TimelineHistory& history,
                                        std::uint64_t last, std::uint64_t first,
                                        Lsn until = kNoEnd) {
    for (auto number = last + 1; number-- > first;)
      if (const auto time = reader_.latest_transaction(name_of(history, number), until))
        return time;
    return {};
  }

 private:
  bool reaches(const LineBeside& beside, Lsn lsn) {
    if (lsn < beside.parting || lsn >= beside.end) return false;
    const auto last = WalSegment::parse(beside.last_segment, contents_.segment_size);
    if (lsn < last.begin()) return true;
    const auto record = reader_.newest_record(beside.last_segment);
    return !record || lsn <= *record;
  }

  std::optional<Error> holds_it_too(const LineBeside& beside) const {
    return ambiguous(beside, "the target lies behind that on both");
  }

  Error ambiguous(const LineBeside& beside, const std::string& why) const {
    return ambiguous_line(beside, line_.timeline, why);
  }

  std::uint64_t number_of(Lsn lsn) const { return lsn.value() / contents_.segment_size; }
  std::uint64_t number_before(Lsn lsn) const { return (lsn.value() - 1) / contents_.segment_size; }
  std::string name_of(const postgres::TimelineHistory& history, std::uint64_t number) const {
    return segment_on(history, number, contents_.segment_size).name();
  }

  const repository::ArchiveContents& contents_;
  const postgres::TimelineHistory& line_;
  const RecoveryTarget& target_;
  const std::uint64_t first_;  // number of the backup's first segment
  Reader& reader_;
};

// Whether the archive alone tells how far it is to the target.
bool lies_in_the_log(const RecoveryTarget& target) {
  return target.type == RecoveryType::lsn || target.type == RecoveryType::time ||
         target.type == RecoveryType::latest;
}

Outlook unjudged(bool certain) {
  Outlook outlook;
  outlook.certain = certain;
  return outlook;
}

repository::WalArchive open_archive(const SourceArchive& source) {
  return {source.repository, source.repository.load_archive_info(), source.system_id,
          source.version};
}

// It may never have held the cluster of an offline backup, which is no fault but for a target.
std::optional<repository::WalArchive> open_archive_if_any(const SourceArchive& source) {
  try {
    return open_archive(source);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return {};
  }
}

Outlook look_along(const repository::WalArchive& archive, const repository::BackupInfo& info,
                   const Backup& backup, Chosen chosen, const RecoveryTarget& target, bool exact,
                   const PointWatch& watch) {
  const auto contents = repository::load_contents(archive, *backup.archive_start);
  std::vector<Backup> others;
  for (const auto& other : info.backups) {
    if (other.database_id == backup.database_id) others.push_back(other);
  }
  const auto points = repository::find_recovery_points(backup, others, contents);
  const auto begin = Timeline::parse_hex(backup.archive_start->substr(0, 8));
  const auto line =
      choose_line(archive, begin, backup.lsn_stop.value_or(Lsn()), wanted_timeline(target));
  std::uint64_t most = 0;
  for (const auto& [timeline, numbers] : contents.segments) most += numbers.size();
  Reader reader(archive, watch, most);
  const SegmentLook look{
      .latest_transaction = [&](const std::string& name,
                                Lsn until) { return reader.latest_transaction(name, until); },
      .newest_record = [&](const std::string& name) { return reader.newest_record(name); }};
  auto outlook =
      judge_target(backup, points, contents.segment_size, line.history, target, look, exact);
  outlook.line = line.history;
  if (!backup.online && !points.missing.empty()) {
    if (target.type == RecoveryType::latest) return unjudged(true);  // it is whole in itself
    outlook.problem = lacks_what_follows(backup);
  }
  if (!target.timeline.empty() || target.type == RecoveryType::standby) return outlook;
  const auto rival = rival_of(archive, line, begin, backup.lsn_stop.value_or(Lsn()));
  outlook.tell_timeline = rival.has_value();
  if (rival && chosen != Chosen::by_name) {
    const auto way = [&](const postgres::TimelineHistory& history) {
      return way_along(history, info, backup, archive, contents.segment_size,
                       look.latest_transaction);
    };
    outlook.ends_at_gap = false;
    outlook.problem = ambiguous(backup, way(line.history), line.timeline(), *rival, way(*rival));
    return outlook;
  }
  // Consistent is a backup on its own timeline.
  if (target.type == RecoveryType::immediate || outlook.lacks_own_wal) return outlook;
  outlook.beside = lines_beside(line.history, begin, points, contents);
  if (outlook.beside.empty()) return outlook;
  const auto first = WalSegment::parse(*backup.archive_start, contents.segment_size).number();
  BesideJudge judge(contents, line.history, target, first, reader);
  const auto newest =
      target.type == RecoveryType::latest
          ? judge.newest_on(line.history,
                            WalSegment::parse(outlook.last_segment, contents.segment_size).number(),
                            first)
          : std::nullopt;
  for (auto& beside : outlook.beside) {
    auto problem = judge.judge(beside, newest);
    if (!outlook.problem) outlook.problem = std::move(problem);
  }
  // Where no more than the segment is there in which both part, and nothing happened in it behind
  // that, it is what each failover leaves.
  std::erase_if(outlook.beside, [](const LineBeside& beside) { return !beside.went_on; });
  return outlook;
}

Outlook look_once(const SourceArchive& source, const repository::BackupInfo& info,
                  const Backup& backup, Chosen chosen, const RecoveryTarget& target, bool exact,
                  const PointWatch& watch) {
  if (target.type == RecoveryType::none || target.type == RecoveryType::preserve)
    return unjudged(true);
  if (backup.archive_start && backup.archive_stop)
    return look_along(open_archive(source), info, backup, chosen, target, exact, watch);
  if (!lies_in_the_log(target)) return unjudged(target.type == RecoveryType::immediate);
  const auto begun = with_beginning(source.repository, info, backup);
  if (!begun) return unjudged(false);
  if (const auto archive = open_archive_if_any(source))
    return look_along(*archive, info, *begun, chosen, target, exact, watch);
  if (target.type == RecoveryType::latest) return unjudged(true);
  Outlook outlook;
  outlook.problem = lacks_what_follows(*begun);
  return outlook;
}

}  // namespace

std::optional<std::uint64_t> stored_wal(const SourceArchive& source, const Outlook& outlook) {
  if (outlook.problem || outlook.segments == 0) return {};
  const auto last = WalSegment::parse(outlook.last_segment, outlook.segment_size);
  std::vector<std::string> names;
  for (auto number = last.number() + 1 - outlook.segments; number < last.number(); ++number)
    names.push_back(segment_on(outlook.line, number, outlook.segment_size).name());
  names.push_back(outlook.last_segment);
  return repository::stored_wal(source.repository, open_archive(source), names);
}

Outlook look_ahead(const SourceArchive& source, const repository::BackupInfo& info,
                   const Backup& backup, Chosen chosen, const RecoveryTarget& target, bool exact,
                   const PointWatch& watch) {
  auto outlook = look_once(source, info, backup, chosen, target, exact, watch);
  // Segments of a source that lives may come out of order, always others; a real gap stays.
  for (int i = 0; i < kLooks && outlook.problem && !outlook.gaps.empty(); ++i) {
    const auto gap = outlook.gaps.front().first;
    std::this_thread::sleep_for(kGapsClose);
    outlook = look_once(source, info, backup, chosen, target, exact, watch);
    if (!outlook.gaps.empty() && outlook.gaps.front().first == gap) break;
  }
  return outlook;
}

}  // namespace pgrevive::cluster
