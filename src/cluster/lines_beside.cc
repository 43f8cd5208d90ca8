#include "cluster/lines_beside.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/notices.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::TimelineHistory;

struct Stretch {
  Timeline timeline;
  Lsn ended;
};

std::vector<Stretch> stretches(const TimelineHistory& history, Timeline begin) {
  std::vector<Stretch> found;
  for (const auto& ancestor : history.ancestors)
    if (ancestor.timeline >= begin) found.push_back({ancestor.timeline, ancestor.ended});
  found.push_back({history.timeline, Lsn(std::numeric_limits<std::uint64_t>::max())});
  return found;
}

}  // namespace

Lsn parting(const TimelineHistory& one, const TimelineHistory& other, Timeline begin) {
  const auto first = stretches(one, begin);
  const auto second = stretches(other, begin);
  Lsn shared;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    if (first[i].timeline != second[i].timeline) break;
    shared = std::min(first[i].ended, second[i].ended);
    if (first[i].ended != second[i].ended) break;
  }
  return shared;
}

std::vector<LineBeside> lines_beside(const TimelineHistory& line, Timeline begin,
                                     const repository::RecoveryPoints& points,
                                     const repository::ArchiveContents& contents) {
  std::vector<LineBeside> found;
  for (const auto& other : points.lines) {
    if (other.timeline == line.timeline) continue;
    const auto at = parting(line, contents.line(other.timeline), begin);
    if (other.end <= at) continue;
    found.push_back({.timeline = other.timeline,
                     .parting = at,
                     .last_segment = other.last_segment,
                     .end = other.end,
                     .went_on = Lsn(other.end.value() - contents.segment_size) >= at,
                     .newest = {}});
  }
  return found;
}

std::string beside_text(const LineBeside& beside, Timeline line) {
  return beside_notice(beside, line).text;
}

Notice beside_notice(const LineBeside& beside, Timeline line) {
  const auto other = std::to_string(beside.timeline.value());
  const auto followed = std::to_string(line.value());
  const auto from = beside.parting.text();
  const auto end = beside.end.text();
  if (!beside.newest) return notice("line_beside", other, followed, from, end);
  const std::chrono::system_clock::time_point newest{std::chrono::microseconds(*beside.newest)};
  return notice("line_beside_until", other, followed, from, end, format_time(newest));
}

Error ambiguous_line(const LineBeside& beside, Timeline line, const std::string& why) {
  return Error(ErrorKind::usage,
               fmt::format("{}, and {}; which of both is the source's cannot be known from here",
                           beside_text(beside, line), why))
      .with_hint(fmt::format("name the one that is meant with --target-timeline "
                             "(RECOVERY_TARGET_TIMELINE): {} or {}",
                             line.value(), beside.timeline.value()));
}

}  // namespace pgrevive::cluster
