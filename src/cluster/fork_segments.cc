#include "cluster/fork_segments.h"

namespace pgrevive::cluster {

std::vector<postgres::WalSegment> fork_segments(const postgres::TimelineHistory& own,
                                                std::uint32_t segment_size) {
  std::vector<postgres::WalSegment> segments;
  if (own.ancestors.empty()) return segments;
  const auto number = own.ancestors.back().ended.value() / segment_size;
  for (std::size_t i = 0; i + 1 < own.ancestors.size(); ++i)
    if (own.ancestors[i].ended.value() / segment_size == number)
      segments.emplace_back(own.ancestors[i + 1].timeline, number, segment_size);
  return segments;
}

}  // namespace pgrevive::cluster
