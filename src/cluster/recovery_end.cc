#include "cluster/recovery_end.h"

#include <chrono>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/target_time.h"

namespace pgrevive::cluster {
namespace {

using postgres::WalFileKind;
using postgres::WalSegment;
using restore::RecoveryType;
using Kind = RecoveryVerdict::Kind;

// A moment less than a tenth of a second is still another one than the target.
std::string before_target(std::int64_t us) {
  if (us == 0) return "at the target";
  std::string span;
  if (us < 1'000)
    span = fmt::format("{} us", us);
  else if (us < 1'000'000)
    span = fmt::format("{:.1f} ms", static_cast<double>(us) / 1'000);
  else
    span = format_duration(std::chrono::milliseconds(us / 1'000));
  return span + " before the target";
}

RecoveryVerdict failed(Error error) { return {.kind = Kind::failed, .error = std::move(error)}; }

bool has_target(const restore::RecoveryTarget& target) {
  switch (target.type) {
    case RecoveryType::immediate:
    case RecoveryType::time:
    case RecoveryType::name:
    case RecoveryType::lsn:
    case RecoveryType::xid:
      return true;
    case RecoveryType::latest:
    case RecoveryType::standby:
    case RecoveryType::none:
    case RecoveryType::preserve:
      return false;
  }
  return false;
}

// The segment the server last asked for, if it was a segment.
std::optional<WalSegment> asked(const RecoveryView& view) {
  if (!view.report || postgres::wal_file_kind(view.report->name) != WalFileKind::segment) return {};
  return WalSegment::parse(view.report->name, view.segment_size);
}

// Where a growing archive is chased, any proven absence will do: a promoted server replays all it
// was given and ends at the first segment that is absent, which archive-get proves each time.
bool may_end_between_two_segments(const RecoveryGoal& goal, const RecoveryView& view) {
  return view.chasing && view.accepting && !has_target(goal.target) && view.lost.empty() &&
         asked(view) && view.report->outcome == ArchiveReport::Outcome::absent;
}

// Replay stands where a record begins that the archive has not all of, and the record may begin
// segments before the end. The server that asks for the rest again has read all the others.
bool waits_for_rest_of_record(const RecoveryView& view) {
  const auto segment = asked(view);
  if (!view.asked_since_settled || !view.newest || !segment) return false;
  if (view.newest_is_unfinished && segment->number() == view.newest->number())
    return view.newest_was_read;
  return segment->number() == view.newest->number() + 1 &&
         view.report->outcome == ArchiveReport::Outcome::absent;
}

Error lost_end(const RecoveryView& view, const std::string& where) {
  return Error(ErrorKind::not_found, where + ", and " + view.lost + ", which it had, is gone")
      .with_hint(
          "see what removed it and put it back; to do without it make the cluster anew: `start "
          "--anew`");
}

RecoveryVerdict judge_exhausted(const RecoveryGoal& goal, const RecoveryView& view) {
  // Before it is consistent a server answers nobody, and without the backup's own WAL it never is.
  if (!view.accepting) {
    const auto segment = asked(view);
    if (goal.backup_stop && segment && segment->number() <= goal.backup_stop->number())
      return failed(
          Error(ErrorKind::not_found, "the archive has no " + segment->name() +
                                          ", and the backup is not consistent without the WAL up "
                                          "to " +
                                          goal.backup_stop->name())
              .with_hint("choose another backup (RESTORE_SET), or look why archiving on the source "
                         "lost it"));
    return {};
  }
  if (!view.settled) return {};
  if (view.newest && view.replayed < view.newest->begin() && !waits_for_rest_of_record(view))
    return {};
  // A list that was short once does not decide: the server has asked for it again meanwhile.
  if (!view.lost.empty() && !view.asked_since_settled) return {};
  if (!has_target(goal.target)) {
    if (view.lost.empty()) return {.kind = Kind::ended, .exhausted = true};
    auto verdict = failed(lost_end(view, "the archive ends at " + view.replayed.text()));
    verdict.exhausted = true;
    return verdict;
  }

  std::string where = "recovery target " + describe(goal.target) +
                      " was not reached: the archive ends at " + view.replayed.text();
  if (!view.last_commit_time.empty()) where += ", its newest commit is of " + view.last_commit_time;
  auto verdict = failed(
      view.lost.empty()
          ? Error(ErrorKind::not_found, where)
                .with_hint("`start --anew` with an earlier target, or start with --type default to "
                           "recover all there is")
          : lost_end(view, where));
  verdict.exhausted = true;
  return verdict;
}

}  // namespace

// Timelines of the line are asked for from the newest on, so a delivered segment of an older
// timeline with a number beyond the newest means the same: the source went on writing a timeline
// that the line had left. One of which there is only a beginning is asked for again where that
// ends.
bool asks_beyond_archive(const RecoveryView& view) {
  const auto segment = asked(view);
  if (!segment) return false;
  if (!view.newest) return view.report->outcome == ArchiveReport::Outcome::absent;
  if (view.newest_is_unfinished && segment->number() == view.newest->number())
    return view.newest_was_read && view.asked_since_settled;
  return segment->number() > view.newest->number();
}

std::optional<Error> strayed(const postgres::TimelineHistory& line, const RecoveryView& view) {
  if (!view.report ||
      postgres::wal_file_kind(view.report->last_delivered) != postgres::WalFileKind::segment)
    return {};
  const auto last = WalSegment::parse(view.report->last_delivered, view.segment_size);
  const auto left = line.left(last.timeline());
  if (!left || view.replayed <= *left) return {};
  return Error(ErrorKind::not_found, "recovery went on in " + view.report->last_delivered + " to " +
                                         view.replayed.text() + ", and timeline " +
                                         std::to_string(line.timeline.value()) +
                                         " left that one at " + left->text())
      .with_hint(
          "the archive did not have the segment of the newer timeline yet: once it has, clean up "
          "and start anew, or choose the older one with RECOVERY_TARGET_TIMELINE");
}

std::optional<Error> overran(const RecoveryGoal& goal, const RecoveryView& view) {
  if (!view.paused) return {};
  bool past = false;
  // What a backup needs ends in its last segment, or where that begins the next.
  if (goal.target.type == RecoveryType::immediate)
    past = goal.backup_stop && view.replayed > goal.backup_stop->next().end();
  else if (goal.target.type == RecoveryType::time && !view.last_commit_time.empty())
    past = ends_recovery(goal.target, parse_target_microseconds(view.last_commit_time),
                         parse_target_microseconds(goal.target.target));
  if (!past) return {};
  return Error(ErrorKind::postgres,
               fmt::format("recovery paused at {}{}, which is past its target {}",
                           view.replayed.text(),
                           view.last_commit_time.empty()
                               ? ""
                               : ", behind a transaction of " + view.last_commit_time,
                           describe(goal.target)))
      .with_hint("make the cluster anew: `start --anew`; nothing was opened");
}

RecoveryVerdict judge_recovery(const RecoveryGoal& goal, const RecoveryView& view) {
  if (view.report && view.report->outcome == ArchiveReport::Outcome::error)
    return failed(Error(ErrorKind::unavailable, "WAL file " + view.report->name +
                                                    " could not be fetched: " + view.report->error)
                      .with_hint("nothing was opened; start again to go on from here"));
  if (view.parameters_too_low && (!view.running || view.paused))
    return {.kind = Kind::raise_parameters};
  if (!view.running) return {};
  if (view.accepting && view.paused && has_target(goal.target)) return {.kind = Kind::ended};
  if (!goal.from_archive) {
    if (!view.accepting || !view.settled) return {};
    if (!has_target(goal.target) || goal.target.type == RecoveryType::immediate)
      return {.kind = Kind::ended};
    return failed(
        Error(ErrorKind::not_found,
              "recovery target " + describe(goal.target) +
                  " was not reached: the backup is an offline one of a source without an "
                  "archive, and all it has in itself ends at " +
                  view.replayed.text())
            .with_hint("choose an online backup with RESTORE_SET, or leave the target out"));
  }
  if (may_end_between_two_segments(goal, view)) return {.kind = Kind::ended, .exhausted = true};
  return asks_beyond_archive(view) ? judge_exhausted(goal, view) : RecoveryVerdict{};
}

std::string describe(const restore::RecoveryTarget& target) {
  switch (target.type) {
    case RecoveryType::latest:
    case RecoveryType::standby:
    case RecoveryType::none:
    case RecoveryType::preserve:
      return "latest";
    case RecoveryType::immediate:
      return "immediate";
    case RecoveryType::time:
      return "time " + target.target;
    case RecoveryType::name:
      return "name " + target.target;
    case RecoveryType::lsn:
      return "lsn " + target.target;
    case RecoveryType::xid:
      return "xid " + target.target;
  }
  return {};
}

void note_difference(RecoveryEnd& end, const restore::RecoveryTarget& target,
                     std::uint32_t segment_size) {
  end.wal_left = 0;
  end.before_target_us.reset();
  if (!end.newest_archived_wal.empty() && !end.last_replayed_wal.empty()) {
    const auto newest = WalSegment::parse(end.newest_archived_wal, segment_size).number();
    const auto last = WalSegment::parse(end.last_replayed_wal, segment_size).number();
    end.wal_left = newest > last ? newest - last : 0;
  }
  if (target.type == RecoveryType::time && !end.last_commit_time.empty())
    end.before_target_us =
        parse_target_microseconds(target.target) - parse_target_microseconds(end.last_commit_time);
}

std::string recovery_text(const RecoveryEnd& end) {
  std::string text = fmt::format("ended at {} on timeline {} (target: {})",
                                 end.lsn.empty() ? "?" : end.lsn, end.timeline, end.target);
  if (!end.last_commit_time.empty()) text += fmt::format("\nlast commit {}", end.last_commit_time);
  if (end.before_target_us && *end.before_target_us >= 0)
    text += ", " + before_target(*end.before_target_us);
  if (!end.newest_archived_wal.empty() && end.newest_archived_wal == end.last_replayed_wal) {
    text += fmt::format("\nWAL read to {}, the newest in the archive", end.newest_archived_wal);
  } else {
    if (!end.last_replayed_wal.empty()) text += "\nWAL read to " + end.last_replayed_wal;
    if (!end.newest_archived_wal.empty())
      text += "\nnewest in the archive: " + end.newest_archived_wal;
    if (end.wal_left > 0)
      text +=
          fmt::format(", {} {} further", end.wal_left, end.wal_left == 1 ? "segment" : "segments");
  }
  if (end.new_timeline != 0) {
    text += fmt::format("\npromoted to timeline {}{}", end.new_timeline,
                        end.fork_lsn.empty() ? "" : " at " + end.fork_lsn);
  }
  return text;
}

}  // namespace pgrevive::cluster
