#include "cluster/target_point.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "cluster/archive_line.h"
#include "cluster/lines_beside.h"
#include "cluster/offline_beginning.h"
#include "cluster/outlook.h"
#include "cluster/recovery_end.h"
#include "cluster/recovery_way.h"
#include "repository/recovery_points.h"
#include "wal/target_search.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;
using repository::Backup;
using repository::RecoveryLine;
using restore::RecoveryTarget;
using restore::RecoveryType;
using wal::TargetSearch;
using Absence = TargetSearch::Absence;

constexpr std::chrono::seconds kGapsClose{2};
// Restore points that a message names.
constexpr std::size_t kNamed = 6;

std::string moment(std::int64_t microseconds) {
  return format_time(
      std::chrono::system_clock::time_point(std::chrono::microseconds(microseconds)));
}

wal::WantedPoint wanted_point(const RecoveryTarget& target) {
  wal::WantedPoint wanted;
  if (target.type == RecoveryType::name) {
    wanted.name = target.target;
  } else {
    wanted.kind = wal::WantedPoint::Kind::transaction;
    // With an epoch in front of it, which PostgreSQL leaves out as well.
    wanted.transaction = static_cast<std::uint32_t>(parse_unsigned(target.target).value_or(0));
  }
  return wanted;
}

std::string name_of(wal::TargetPoint::Kind kind) {
  switch (kind) {
    case wal::TargetPoint::Kind::restore_point:
      return "restore point";
    case wal::TargetPoint::Kind::commit:
      return "commit";
    case wal::TargetPoint::Kind::abort:
      return "abort";
  }
  return {};
}

std::string called(const RecoveryTarget& target) {
  return target.type == RecoveryType::name
             ? fmt::format("restore point '{}'", printable(target.target, 63))
             : "transaction " + target.target;
}

// What came of one backup on the way to one timeline.
struct Attempt {
  const Backup* backup;
  RecoveryLine line;
  TargetSearch::Result result;
  // The first point on the way is within the backup, so PostgreSQL could not stop there.
  bool is_within() const { return result.point && result.point->begin < *backup->lsn_stop; }
  bool is_reached() const { return result.point && !is_within(); }
};

class Lookup {
 public:
  Lookup(const SourceArchive& source, const repository::BackupInfo& info,
         const std::optional<std::string>& set, const RecoveryTarget& target,
         const PointWatch& watch, bool again)
      : info_(info),
        set_(set),
        target_(target),
        again_(again),
        archive_(source.repository, source.repository.load_archive_info(), source.system_id,
                 source.version),
        search_(archive_, source.system_id, source.version, wanted_point(target), watch.stop,
                watch.progress) {
    choose_candidates(source.repository);
    if (set && candidates_.empty() && offline_ != nullptr) add_offline(source.repository);
  }

  PointLookup run() {
    if (candidates_.empty()) return {};
    auto found = look();
    // Segments of a source that lives may come out of order.
    if (found.problem && has_gap_) {
      std::this_thread::sleep_for(kGapsClose);
      found = look();
    }
    return found;
  }

 private:
  // Newest first.
  void choose_candidates(const repository::Repository& repository) {
    restore::OnTheWay passes;
    if (!set_) passes = on_the_way(repository, info_, target_);
    for (auto backup = info_.backups.rbegin(); backup != info_.backups.rend(); ++backup) {
      if (set_ ? backup->label.text() != *set_ : backup->database_id != info_.current_id) continue;
      if (!backup->archive_start || !backup->archive_stop || !backup->lsn_stop) {
        if (!offline_) offline_ = &*backup;
      } else if (!passes || passes(*backup)) {
        candidates_.push_back(&*backup);
      }
    }
  }

  // Only of the one that was asked for, since it is read.
  void add_offline(const repository::Repository& repository) {
    with_beginning_ = with_beginning(repository, info_, *offline_);
    if (!with_beginning_) return;
    candidates_.push_back(&*with_beginning_);
    offline_ = nullptr;
  }

  PointLookup look() {
    // A source that was recovered to an earlier point goes on below where it had been.
    const auto lowest = std::ranges::min(candidates_, {}, [](const auto* backup) {
      return std::string_view(*backup->archive_start).substr(8);
    });
    contents_ = repository::load_contents(archive_, *lowest->archive_start);
    attempts_.clear();
    lacking_.reset();
    has_gap_ = false;
    for (const auto* backup : candidates_) {
      const auto points = points_of(*backup);
      if (!points.missing.empty()) {
        if (!lacking_)
          lacking_ = with_beginning_ ? lacks_what_follows(*backup) : lacks_its_wal(*backup, points);
        has_gap_ = true;
        continue;
      }
      const auto begin = Timeline::parse_hex(backup->archive_start->substr(0, 8));
      const auto chosen =
          choose_line(archive_, begin, *backup->lsn_stop, wanted_timeline(target_)).history;
      auto attempt = try_one(*backup, line_to(chosen, points, contents_.segment_size), chosen);
      has_gap_ = has_gap_ || !attempt.line.gaps.empty();
      attempts_.push_back(std::move(attempt));
      if (!attempts_.back().is_reached()) continue;
      if (auto problem = beside(points, chosen)) return {.problem = std::move(problem)};
      return {.point = point_of(attempts_.back(), chosen)};
    }
    return {.problem = problem()};
  }

  // Why it may be another point that is meant than that of the last attempt, which went along
  // `line`: another line that parted with it before that has one too. A transaction's number is
  // given anew on each.
  std::optional<Error> beside(const repository::RecoveryPoints& points,
                              const TimelineHistory& line) {
    if (!target_.timeline.empty()) return {};
    const auto& attempt = attempts_.back();
    const auto begin = Timeline::parse_hex(attempt.backup->archive_start->substr(0, 8));
    for (const auto& other : lines_beside(line, begin, points, contents_)) {
      if (attempt.result.point->end <= other.parting) continue;
      const auto history = contents_.line(other.timeline);
      const auto there =
          try_one(*attempt.backup, line_to(history, points, contents_.segment_size), history);
      if (there.is_reached())
        return ambiguous_line(
            other, line.timeline,
            fmt::format("{} is on both, at {} and at {}", called(target_),
                        there.result.point->begin.text(), attempt.result.point->begin.text()));
    }
    return {};
  }

  repository::RecoveryPoints points_of(const Backup& backup) const {
    std::vector<Backup> others;
    for (const auto& other : info_.backups)
      if (other.database_id == backup.database_id) others.push_back(other);
    return repository::find_recovery_points(backup, others, contents_);
  }

  Attempt try_one(const Backup& backup, RecoveryLine line, const TimelineHistory& history) {
    const auto way = recovery_way(history, backup, line, contents_.segment_size);
    auto result = search_.first_on(way, {.from = beginning_of(backup), .to = line.end});
    return {.backup = &backup, .line = std::move(line), .result = result};
  }

  Lsn beginning_of(const Backup& backup) const {
    return backup.lsn_start.value_or(
        WalSegment::parse(*backup.archive_start, contents_.segment_size).begin());
  }

  TargetPoint point_of(const Attempt& attempt, const TimelineHistory& history) {
    const auto& found = *attempt.result.point;
    const auto size = contents_.segment_size;
    auto segment = segment_on(history, (found.end.value() - 1) / size, size);
    // On a timeline without WAL of its own.
    const auto last = WalSegment::parse(attempt.line.last_segment, size);
    if (segment.number() == last.number()) segment = last;
    TargetPoint point{.backup = attempt.backup->label.text(),
                      .what = name_of(found.kind),
                      .begin = found.begin,
                      .end = found.end,
                      .time = found.time,
                      .timeline = segment.timeline().value(),
                      .segment = segment.name(),
                      .again = {}};
    if (again_ && target_.type == RecoveryType::name) {
      const auto way = recovery_way(history, *attempt.backup, attempt.line, size);
      const auto next = search_.first_on(way, {.from = found.end, .to = attempt.line.end}).point;
      if (next) point.again = next->end;
    }
    return point;
  }

  // Of all that was tried, what tells most: the first of these that came of a backup.
  const Attempt& most_telling() const {
    for (const auto absence : {Absence::none, Absence::no_end, Absence::running,
                               Absence::unreadable, Absence::not_begun, Absence::before}) {
      const auto found = std::ranges::find(
          attempts_, absence, [](const Attempt& attempt) { return attempt.result.absence; });
      if (found != attempts_.end()) return *found;
    }
    return attempts_.front();
  }

  Error problem() {
    if (attempts_.empty()) return *lacking_;
    const auto& telling = most_telling();
    return Error(ErrorKind::not_found, why(telling)).with_hint(hint(telling));
  }

  std::string why(const Attempt& attempt) const {
    const auto& result = attempt.result;
    const auto what = called(target_);
    const auto label = attempt.backup->label.text();
    const auto end = attempt.line.end.text();
    switch (result.absence) {
      case Absence::none:
        return fmt::format("{} is at {}, within backup {}, which is not consistent before {}{}",
                           what, result.point->begin.text(), label,
                           attempt.backup->lsn_stop->text(),
                           set_ ? "" : ", and no older backup leads there");
      case Absence::no_end:
        return result.top_level
                   ? fmt::format(
                         "{} is a part of transaction {} and ended with it, so recovery "
                         "cannot stop there",
                         what, *result.top_level)
                   : fmt::format(
                         "{} has no end in the WAL: it was a subtransaction, or of a server "
                         "that crashed",
                         what);
      case Absence::running:
        return fmt::format("{} had not ended where the archive {} {}", what, ends(attempt), end);
      case Absence::not_begun:
        return fmt::format(
            "{} is not in the archive, which {} {}{}", what, ends(attempt), end,
            result.next == 0 ? "" : fmt::format(": there the next transaction is {}", result.next));
      case Absence::before:
        return fmt::format("{} ended before backup {}{} began", what, label,
                           set_ ? "" : ", the oldest there is,");
      case Absence::unreadable:
        return fmt::format("{} is not in the archive up to {}, where its WAL cannot be read", what,
                           result.log_end.text());
      case Absence::not_there:
        break;
    }
    return fmt::format("{} is not in the archive, which has the WAL from {} to {}", what,
                       beginning_of(*attempts_.back().backup).text(),
                       attempts_.front().line.end.text());
  }

  static std::string ends(const Attempt& attempt) {
    return attempt.line.gaps.empty() ? "ends at" : "has a gap at";
  }

  std::string hint(const Attempt& telling) {
    std::vector<std::string> hints;
    if (const auto elsewhere = on_another_timeline())
      hints.push_back(
          fmt::format("it is on timeline {0}: --target-timeline {0} "
                      "(RECOVERY_TARGET_TIMELINE={0}) leads there",
                      elsewhere->value()));
    if (telling.result.absence == Absence::no_end && telling.result.top_level)
      hints.push_back(fmt::format("the target {} is its end", *telling.result.top_level));
    if (target_.type == RecoveryType::name) hints.push_back(nearest_names());
    const auto& oldest = attempts_.back();
    const auto& newest = attempts_.front();
    hints.push_back(
        fmt::format("backup {} can be recovered from {}, LSN {}{} to LSN {} on timeline {}",
                    oldest.backup->label.text(), moment(oldest.backup->timestamp_stop * 1'000'000),
                    oldest.backup->lsn_stop->text(),
                    oldest.backup == newest.backup
                        ? ""
                        : fmt::format(", and backup {}", newest.backup->label.text()),
                    newest.line.end.text(), newest.line.timeline.value()));
    for (const auto& attempt : attempts_)
      if (!attempt.line.gaps.empty()) {
        hints.push_back(gap_text(attempt.line.gaps.front()) +
                        ", and what lies behind cannot be reached from before it");
        break;
      }
    if (set_) hints.emplace_back("another backup (--set, RESTORE_SET) may reach it");
    if (offline_ != nullptr)
      hints.push_back(
          fmt::format("backup {0} was made offline and is only looked at where it is named: --set "
                      "{0} (RESTORE_SET)",
                      offline_->label.text()));
    return fmt::format("{}", fmt::join(hints, "; "));
  }

  // That one can choose, and that has it.
  std::optional<Timeline> on_another_timeline() {
    for (const auto* backup : candidates_) {
      const auto points = points_of(*backup);
      for (const auto& line : points.lines) {
        if (try_one(*backup, line, contents_.line(line.timeline)).is_reached())
          return line.timeline;
      }
    }
    return {};
  }

  std::string nearest_names() const {
    auto known = search_.restore_points();
    if (known.empty()) return "there are no restore points in it";
    std::vector<std::string> names;
    for (const auto& point : known) names.push_back(point.name);
    const auto near = closest(target_.target, names);
    if (near && *near == target_.target) {
      // It is there, where it is of no use.
      std::erase_if(known, [&](const auto& point) { return point.name == *near; });
      if (known.empty()) return "there are no others";
    }
    std::string text = near && *near != target_.target
                           ? fmt::format("did you mean '{}'? ", printable(*near, 63))
                           : "";
    text += "restore points there: ";
    const auto first = known.size() > kNamed ? known.size() - kNamed : 0;
    for (auto i = first; i < known.size(); ++i)
      text += fmt::format("{}'{}' ({}, {})", i == first ? "" : ", ", printable(known[i].name, 63),
                          known[i].end.text(), moment(known[i].time));
    if (first > 0) text += fmt::format(", and {} before these", first);
    return text;
  }

  const repository::BackupInfo& info_;
  const std::optional<std::string>& set_;
  const RecoveryTarget& target_;
  const bool again_;
  repository::WalArchive archive_;
  TargetSearch search_;
  std::vector<const Backup*> candidates_;
  const Backup* offline_ = nullptr;       // the newest
  std::optional<Backup> with_beginning_;  // that one, with where its WAL begins

  repository::ArchiveContents contents_;
  std::vector<Attempt> attempts_;
  std::optional<Error> lacking_;
  bool has_gap_ = false;
};

}  // namespace

std::string describe(const TargetPoint& point, const RecoveryTarget& target) {
  const auto what = target.type == RecoveryType::name
                        ? called(target)
                        : fmt::format("{} of {}", point.what, called(target));
  // PostgreSQL stops behind a restore point in any case.
  const bool before = target.exclusive && target.type == RecoveryType::xid;
  return fmt::format("{}{} at {}, of {}, on timeline {}", before ? "before the " : "", what,
                     before ? point.begin.text() : point.end.text(), moment(point.time),
                     point.timeline);
}

bool lies_in_records(const RecoveryTarget& target) {
  return target.type == RecoveryType::name || target.type == RecoveryType::xid;
}

PointLookup look_up_point(const SourceArchive& source, const repository::BackupInfo& info,
                          const std::optional<std::string>& set, const RecoveryTarget& target,
                          const PointWatch& watch, bool again) {
  return Lookup(source, info, set, target, watch, again).run();
}

}  // namespace pgrevive::cluster
