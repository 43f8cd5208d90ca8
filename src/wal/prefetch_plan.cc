#include "wal/prefetch_plan.h"

#include <algorithm>

namespace pgrevive::wal {

namespace {

using postgres::WalSegment;

bool may_have(const Reader& reader, const KnownSegments& known, const WalSegment& segment) {
  const auto timeline = known.find(segment.timeline());
  return timeline != known.end() && timeline->second.contains(segment.number()) &&
         (!reader.allows || reader.allows(segment));
}

bool replays(const Reader& reader) { return !reader.waiting && !reader.finished; }

// Whether upcoming() gave it: one number after the other, without a hole.
bool contains(const std::vector<WalSegment>& segments, const WalSegment& segment) {
  if (segments.empty() || segment.number() < segments.front().number()) return false;
  const auto index = segment.number() - segments.front().number();
  return index < segments.size() && segments[index] == segment;
}

bool will_want(const Reader& reader, const KnownSegments& known, const WalSegment& segment,
               const PlanLimits& limits) {
  return contains(upcoming(reader, known, limits.files), segment);
}

// Everybody else who will want the segment and whom there is room for.
void add_others(Fetch& fetch, const std::vector<Reader>& readers, const KnownSegments& known,
                const PlanLimits& limits) {
  const auto ahead = window(readers, limits);
  // Those that replay never find their room taken by what others will want some day.
  const auto replaying = static_cast<std::size_t>(std::ranges::count_if(readers, replays));
  const auto for_waiting = limits.files - std::min(limits.files, replaying * ahead);
  std::size_t all = held_by_all(readers) + 1;
  std::size_t waiting = 0;
  for (const auto& reader : readers) waiting += reader.waiting ? reader.held.size() : 0;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const auto& reader = readers[i];
    if (i == fetch.readers.front() || reader.finished || reader.full ||
        reader.held.contains(fetch.segment))
      continue;
    if (reader.waiting ? waiting >= for_waiting : reader.held.size() >= ahead) continue;
    if (all >= limits.files || !will_want(reader, known, fetch.segment, limits)) continue;
    fetch.readers.push_back(i);
    ++all;
    waiting += reader.waiting ? 1 : 0;
  }
}

}  // namespace

std::size_t held_by_all(const std::vector<Reader>& readers) {
  std::size_t count = 0;
  for (const auto& reader : readers) count += reader.held.size();
  return count;
}

std::vector<WalSegment> upcoming(const Reader& reader, const KnownSegments& known,
                                 std::size_t count) {
  std::vector<WalSegment> segments;
  if (!reader.next) return segments;
  for (auto segment = *reader.next; segments.size() < count; segment = segment.next()) {
    auto timeline = known.lower_bound(segment.timeline());
    while (timeline != known.end() && !may_have(reader, known, segment.on(timeline->first)))
      ++timeline;
    if (timeline == known.end()) break;
    segment = segment.on(timeline->first);
    segments.push_back(segment);
  }
  return segments;
}

std::size_t window(const std::vector<Reader>& readers, const PlanLimits& limits) {
  const auto replaying = static_cast<std::size_t>(std::ranges::count_if(readers, replays));
  const auto share = std::max<std::size_t>(1, limits.files / std::max<std::size_t>(1, replaying));
  const bool somebody_waits = std::ranges::any_of(
      readers, [](const Reader& reader) { return reader.waiting && !reader.finished; });
  return somebody_waits ? std::min(share, limits.ahead) : share;
}

std::optional<Fetch> next_fetch(const std::vector<Reader>& readers, const KnownSegments& known,
                                const std::set<WalSegment>& avoid, const PlanLimits& limits) {
  const auto with_others = [&](const WalSegment& segment, std::size_t reader) {
    Fetch fetch{.segment = segment, .readers = {reader}};
    add_others(fetch, readers, known, limits);
    return fetch;
  };
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const auto& reader = readers[i];
    if (!replays(reader) || !reader.asked || reader.held.contains(*reader.asked)) continue;
    if (may_have(reader, known, *reader.asked) && !avoid.contains(*reader.asked))
      return with_others(*reader.asked, i);
  }

  if (held_by_all(readers) >= limits.files) return {};
  const auto ahead = window(readers, limits);
  // A server that replays somewhat slower has no room for what the fastest wants next. Who has
  // enough for now waits for it, since a segment that is not kept for both is fetched twice.
  const auto better_later = [&](const Reader& reader, const WalSegment& segment) {
    return 2 * reader.held.size() >= ahead &&
           std::ranges::any_of(readers, [&](const Reader& other) {
             return &other != &reader && replays(other) && !other.full &&
                    other.held.size() >= ahead && !other.held.contains(segment) &&
                    will_want(other, known, segment, limits);
           });
  };
  std::optional<std::pair<std::size_t, Fetch>> nearest;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    if (!replays(readers[i]) || readers[i].full) continue;
    const auto segments = upcoming(readers[i], known, ahead);
    for (std::size_t distance = 0; distance < segments.size(); ++distance) {
      const auto& segment = segments[distance];
      if (readers[i].held.contains(segment) || avoid.contains(segment)) continue;
      if (better_later(readers[i], segment)) break;
      if (!nearest || distance < nearest->first)
        nearest = {distance, Fetch{.segment = segment, .readers = {i}}};
      break;
    }
  }
  if (!nearest) return {};
  return with_others(nearest->second.segment, nearest->second.readers.front());
}

std::vector<WalSegment> useless(const Reader& reader, const KnownSegments& known,
                                const PlanLimits& limits) {
  if (reader.finished) return {reader.held.begin(), reader.held.end()};
  if (!reader.next) return {};
  const auto wanted = upcoming(reader, known, limits.files);
  std::vector<WalSegment> result;
  for (const auto& segment : reader.held) {
    if (segment != reader.asked && !contains(wanted, segment)) result.push_back(segment);
  }
  return result;
}

}  // namespace pgrevive::wal
