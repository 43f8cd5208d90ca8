#include "cluster/furthest_end.h"

#include <limits>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;

// In the order in which a line reaches them. Where a timeline was left, the next one's segment has
// all that is of the line in the old one's.
std::pair<std::uint64_t, Timeline> place_of(const WalSegment& segment) {
  return {segment.number(), segment.timeline()};
}

}  // namespace

FurthestEnd FurthestEnd::parse(const std::string& text) {
  if (text.empty()) return {};
  const auto colon = text.find(':');
  const auto line = parse_unsigned(text.substr(0, colon));
  if (colon == std::string::npos || !line || *line > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::corrupt, "'" + printable(text, 80) + "' is not the end of a line");
  return {.line = static_cast<std::uint32_t>(*line), .segment = text.substr(colon + 1)};
}

std::string FurthestEnd::text() const { return std::to_string(line) + ":" + segment; }

void FurthestEnd::follow(const postgres::TimelineHistory& history, std::uint32_t segment_size) {
  line = history.timeline.value();
  if (segment.empty()) return;
  const auto seen = WalSegment::parse(segment, segment_size);
  if (seen.timeline() == history.timeline) return;
  const auto left = history.left(seen.timeline());
  if (!left || seen.begin() >= *left) segment.clear();
}

bool FurthestEnd::raise(const WalSegment& newest) {
  if (!segment.empty() &&
      place_of(newest) <= place_of(WalSegment::parse(segment, newest.segment_size())))
    return false;
  segment = newest.name();
  return true;
}

std::string FurthestEnd::lost(const std::optional<WalSegment>& newest, Timeline on, Lsn replayed,
                              const std::string& last_delivered, std::uint32_t segment_size) const {
  if (segment.empty()) return {};
  const auto seen = WalSegment::parse(segment, segment_size);
  if (newest && place_of(*newest) >= place_of(seen)) return {};
  if (on >= seen.timeline() && replayed > seen.begin()) return {};
  if (postgres::wal_file_kind(last_delivered) == postgres::WalFileKind::segment &&
      place_of(WalSegment::parse(last_delivered, segment_size)) >= place_of(seen))
    return {};
  return segment;
}

}  // namespace pgrevive::cluster
