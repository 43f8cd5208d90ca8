#include "cluster/recovery_way.h"

#include <algorithm>

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::WalSegment;
using repository::RecoveryLine;

// As much of a line as another one shares that left it at `ended`.
RecoveryLine cut_at(RecoveryLine line, Lsn ended, std::uint32_t segment_size) {
  if (line.end <= ended) return line;
  const auto last = WalSegment::parse(line.last_segment, segment_size);
  // The segment in which it left is there, and the rest of it is not of the line.
  const WalSegment cut(last.timeline(), (ended.value() - 1) / segment_size, segment_size);
  line.last_segment = cut.name();
  line.end = ended;
  line.gaps.clear();
  return line;
}

}  // namespace

RecoveryLine line_to(const postgres::TimelineHistory& history,
                     const repository::RecoveryPoints& points, std::uint32_t segment_size) {
  const auto found = std::ranges::find(points.lines, history.timeline, &RecoveryLine::timeline);
  if (found != points.lines.end()) return *found;
  for (auto ancestor = history.ancestors.rbegin(); ancestor != history.ancestors.rend();
       ++ancestor) {
    const auto line = std::ranges::find(points.lines, ancestor->timeline, &RecoveryLine::timeline);
    if (line != points.lines.end()) return cut_at(*line, ancestor->ended, segment_size);
  }
  return points.lines.front();
}

WalSegment segment_on(const postgres::TimelineHistory& history, std::uint64_t number,
                      std::uint32_t segment_size) {
  auto timeline = history.timeline;
  // Newest first: where a timeline was left need not rise.
  for (auto ancestor = history.ancestors.rbegin();
       ancestor != history.ancestors.rend() && number < ancestor->ended.value() / segment_size;
       ++ancestor)
    timeline = ancestor->timeline;
  return {timeline, number, segment_size};
}

std::vector<WalSegment> recovery_way(const postgres::TimelineHistory& history,
                                     const repository::Backup& backup, const RecoveryLine& line,
                                     std::uint32_t segment_size) {
  // What a line without WAL of its own takes from another one ends on that.
  const auto last = WalSegment::parse(line.last_segment, segment_size);
  std::vector<WalSegment> way;
  for (auto number = WalSegment::parse(*backup.archive_start, segment_size).number();
       number < last.number(); ++number)
    way.push_back(segment_on(history, number, segment_size));
  way.push_back(last);
  return way;
}

}  // namespace pgrevive::cluster
