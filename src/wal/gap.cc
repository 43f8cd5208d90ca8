#include "wal/gap.h"

#include <algorithm>

#include <fmt/format.h>

namespace pgrevive::wal {

namespace {

using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;

// The first segment after the place of `absent` (or at it, on other timelines) that is archived.
const WalSegment* first_of(const Listing& listing, Timeline timeline) {
  const auto found = listing.segments.find(timeline);
  return found == listing.segments.end() || found->second.empty() ? nullptr
                                                                  : &found->second.front();
}

// Whether anything from the place of the absent segment on is archived of the timelines that
// `history` lists after `timeline`, its own included.
bool continues(const Listing& listing, const TimelineHistory& history, Timeline timeline) {
  return first_of(listing, history.timeline) != nullptr ||
         std::ranges::any_of(history.ancestors, [&](const auto& ancestor) {
           return ancestor.timeline > timeline && first_of(listing, ancestor.timeline) != nullptr;
         });
}

}  // namespace

std::optional<std::string> find_gap(const WalSegment& absent, const Listing& listing,
                                    bool on_line) {
  const auto timeline = absent.timeline();
  for (const auto& history : listing.histories) {
    if (history.timeline == timeline && !history.ancestors.empty() &&
        absent.end() <= history.ancestors.back().ended) {
      return std::nullopt;
    }
  }
  for (const auto& history : listing.histories) {
    const auto left = history.left(timeline);
    if (left && absent.end() <= *left) {
      return fmt::format("{} is missing, though timeline {} left timeline {} after it, at {}",
                         absent.name(), history.timeline.value(), timeline.value(), left->text());
    }
  }
  const auto* const later = first_of(listing, timeline);
  if (later == nullptr) return std::nullopt;
  const bool line_may_end_here =
      !on_line && std::ranges::any_of(listing.histories, [&](const auto& history) {
        const auto left = history.left(timeline);
        return left && *left <= absent.begin() && !continues(listing, history, timeline);
      });
  if (line_may_end_here) return std::nullopt;
  return fmt::format("{} is missing, though {} is there", absent.name(), later->name());
}

}  // namespace pgrevive::wal
