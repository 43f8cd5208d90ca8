#include "repository/recovery_points.h"

#include <algorithm>

#include "base/error.h"

namespace pgrevive::repository {

namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;

// A timeline with its ancestors, as the stretches of segments that recovery to it reads:
//
//   timeline 1 ----5----6----7           segment 7 holds the point where 2 branched off, and
//                         `--7'---8'     recovery to 2 reads it from 2, which begins with a copy
class Way {
 public:
  // `to` itself begins somewhere in `history`; a timeline without a history has no ancestors.
  Way(Timeline to, const postgres::TimelineHistory* history, std::uint32_t segment_size) {
    std::uint64_t begin = 0;
    if (history != nullptr) {
      for (const auto& ancestor : history->ancestors) {
        stretches_.push_back({ancestor.timeline, begin});
        begin = ancestor.ended.value() / segment_size;
      }
    }
    stretches_.push_back({to, begin});
  }

  // The timeline that recovery reads a segment from.
  Timeline of(std::uint64_t number) const {
    // Two switches in one segment leave a stretch without any; the newest one wins.
    Timeline found = stretches_.front().timeline;
    for (const auto& stretch : stretches_) {
      if (stretch.begin <= number) found = stretch.timeline;
    }
    return found;
  }

  // The segments from `first` on that lie on this way and are there, rising.
  std::vector<std::uint64_t> present(const ArchiveContents& contents, std::uint64_t first) const {
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 0; i < stretches_.size(); ++i) {
      const auto found = contents.segments.find(stretches_[i].timeline);
      if (found == contents.segments.end()) continue;
      for (const std::uint64_t number : found->second) {
        if (number < std::max(first, stretches_[i].begin)) continue;
        if (i + 1 < stretches_.size() && number >= stretches_[i + 1].begin) break;
        numbers.push_back(number);
      }
    }
    return numbers;
  }

  std::uint64_t begin_of_last() const { return stretches_.back().begin; }

 private:
  struct Stretch {
    Timeline timeline;
    std::uint64_t begin;  // first segment
  };
  std::vector<Stretch> stretches_;
};

// Every segment tells; one that is damaged or expires at this moment must not hide all the others.
// The newest ones are the last to expire. 0 if there are none.
std::uint32_t segment_size_of(const WalArchive& archive,
                              const std::map<Timeline, std::vector<std::string>>& segments) {
  constexpr int kTries = 3;
  int tries = 0;
  for (auto timeline = segments.rbegin(); timeline != segments.rend(); ++timeline) {
    for (auto name = timeline->second.rbegin(); name != timeline->second.rend(); ++name) {
      try {
        const auto segment = archive.find_segment(*name);
        if (segment) return archive.load_segment_size(*segment);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::not_found) throw;
        if (++tries == kTries) throw;
      }
    }
  }
  return 0;
}

}  // namespace

std::optional<postgres::TimelineHistory> load_line(const WalArchive& archive, Timeline timeline) {
  const auto name = postgres::TimelineHistory::file_name(timeline);
  const auto text = archive.load_history(name);
  if (!text) return {};
  return while_doing("reading " + name, [&] {
    return postgres::TimelineHistory::parse(timeline, *text).straight();
  });
}

postgres::TimelineHistory ArchiveContents::line(Timeline timeline) const {
  const auto known = histories.find(timeline);
  if (known != histories.end()) return known->second;
  return {.timeline = timeline, .ancestors = {}};
}

ArchiveContents load_contents(const WalArchive& archive, const std::string& from) {
  ArchiveContents contents;
  for (const auto timeline : archive.list_histories()) {
    // One that is gone has expired since.
    if (auto line = load_line(archive, timeline)) contents.histories[timeline] = *std::move(line);
  }
  const auto segments = archive.list_all_segments(from);
  contents.segment_size = segment_size_of(archive, segments);
  for (const auto& [timeline, names] : segments) {
    auto& numbers = contents.segments[timeline];
    for (const auto& name : names)
      numbers.push_back(WalSegment::parse(name, contents.segment_size).number());
  }
  return contents;
}

RecoveryPoints find_recovery_points(const Backup& backup, const std::vector<Backup>& others,
                                    const ArchiveContents& contents) {
  RecoveryPoints points{.from = backup.timestamp_stop};
  if (!backup.archive_start || !backup.archive_stop) return points;
  if (contents.segment_size == 0) {
    points.missing = *backup.archive_start;
    return points;
  }
  const std::uint32_t size = contents.segment_size;
  const auto first = WalSegment::parse(*backup.archive_start, size);
  const auto stop = WalSegment::parse(*backup.archive_stop, size);
  const Lsn consistent = backup.lsn_stop.value_or(stop.begin());

  std::vector<Timeline> targets{first.timeline()};
  const auto& histories = contents.histories;
  for (const auto& [timeline, history] : histories) {
    if (timeline != first.timeline() && history.passes(first.timeline(), consistent))
      targets.push_back(timeline);
  }

  for (const auto target : targets) {
    const auto history = histories.find(target);
    const Way way(target, history == histories.end() ? nullptr : &history->second, size);
    const auto name = [&](std::uint64_t number) {
      return WalSegment(way.of(number), number, size).name();
    };

    const auto present = way.present(contents, first.number());
    auto at = present.begin();
    std::uint64_t next = first.number();
    for (; at != present.end() && *at == next; ++at) ++next;
    if (next <= stop.number()) {
      // All lines share the segments that the backup needs, up to the branch, which lies later.
      if (points.missing.empty()) points.missing = name(next);
      continue;
    }
    // A branch that has no WAL leads no further than the timeline it branched off.
    if (target != first.timeline() && next <= way.begin_of_last() && at == present.end()) continue;

    RecoveryLine line{.timeline = target,
                      .last_segment = name(next - 1),
                      .end = Lsn(next * size),
                      .reaches_time = backup.timestamp_stop};
    for (const auto& other : others) {
      if (!other.archive_stop) continue;
      const auto other_stop = WalSegment::parse(*other.archive_stop, size);
      if (other_stop.number() < next && other_stop.number() >= stop.number() &&
          way.of(other_stop.number()) == other_stop.timeline())
        line.reaches_time = std::max(line.reaches_time, other.timestamp_stop);
    }
    for (; at != present.end(); ++at) {
      if (*at != next)
        line.gaps.push_back({.first = name(next), .last = name(*at - 1), .count = *at - next});
      next = *at + 1;
    }
    points.lines.push_back(std::move(line));
  }
  if (!points.missing.empty()) points.lines.clear();
  return points;
}

}  // namespace pgrevive::repository
