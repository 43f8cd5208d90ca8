#include "wal/target_search.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <future>
#include <utility>

#include "base/error.h"
#include "wal/record_reader.h"
#include "wal/segment_file.h"

namespace pgrevive::wal {

namespace {

using postgres::WalSegment;

// How many segments are on their way.
constexpr std::size_t kFetches = 4;
// Segments between two marks: servers note one every 15 seconds.
constexpr std::size_t kUnmarked = 64;
// Of ways that are shorter all is read.
constexpr std::size_t kShort = 4;

}  // namespace

TargetSearch::TargetSearch(const repository::WalArchive& archive, std::uint64_t system_id,
                           postgres::Version version, WantedPoint wanted, std::stop_token stop,
                           Progress progress, std::uint64_t memory)
    : archive_(archive),
      system_id_(system_id),
      version_(version),
      wanted_(std::move(wanted)),
      stop_(std::move(stop)),
      progress_(std::move(progress)),
      memory_(memory) {}

TargetSearch::Result TargetSearch::first_on(const Way& way, Span span) {
  const bool of_transaction = wanted_.kind == WantedPoint::Kind::transaction;
  if (way.empty()) return {.absence = Absence::not_begun};
  find_objects(way);
  const auto begin = of_transaction ? first_to_read(way) : 0;
  Result result;
  bool begins_here = begin > 0;  // at the first mark the transaction had not begun
  bool ended_before = false;
  bool marked = false;
  for (std::size_t i = begin; i < way.size(); ++i) {
    if (!is_known(way, i)) read_on(way, i, span);
    const auto& known = known_[way[i].name()];
    for (const auto& point : known.points) {
      if (span.holds(point)) return {.point = point};
      ended_before = ended_before || point.begin < span.from;
    }
    if (known.top_level) result.top_level = known.top_level;
    for (const auto& mark : known.marks) {
      if (mark.at >= span.to) break;
      if (!marked) begins_here = begins_here || !precedes(wanted_.transaction, mark.next);
      marked = true;
      result.next = mark.next;
      if (!precedes(wanted_.transaction, mark.oldest_running)) continue;
      const bool no_end = !ended_before && (begins_here || result.top_level);
      result.absence = no_end ? Absence::no_end : Absence::before;
      return result;
    }
    if (known.log_end && i + 1 < way.size()) {
      result.absence = Absence::unreadable;
      result.log_end = *known.log_end;
      return result;
    }
  }
  if (!of_transaction) {
    result.absence = Absence::not_there;
  } else if (ended_before) {
    result.absence = Absence::before;
  } else if (result.top_level) {
    result.absence = Absence::no_end;
  } else {
    const bool has_begun = marked && precedes(wanted_.transaction, result.next);
    result.absence = has_begun ? Absence::running : Absence::not_begun;
  }
  return result;
}

std::vector<RestorePoint> TargetSearch::restore_points() const {
  std::vector<RestorePoint> all;
  for (const auto& [name, known] : known_)
    all.insert(all.end(), known.restore_points.begin(), known.restore_points.end());
  std::ranges::sort(all, {}, &RestorePoint::end);
  return all;
}

void TargetSearch::find_objects(const Way& way) {
  const auto has = [&](const WalSegment& segment) { return objects_.contains(segment.name()); };
  if (std::ranges::all_of(way, has)) return;
  for (auto& object : archive_.find_segments(way.front().name(), way.back().name()))
    objects_.emplace(object.name, std::move(object));
}

bool TargetSearch::is_known(const Way& way, std::size_t i) const {
  const auto found = known_.find(way[i].name());
  return found != known_.end() && (found->second.whole || i + 1 == way.size());
}

// Where the transaction cannot have ended before: at a mark it had not begun.
std::size_t TargetSearch::first_to_read(const Way& way) {
  std::size_t low = 0;
  std::size_t high = way.size() - 1;
  while (low + kShort < high) {
    const auto middle = low + (high - low + 1) / 2;
    auto at = middle;
    while (at > low && middle - at < kUnmarked && !first_mark(way[at])) --at;
    const auto& mark = at > low ? first_mark(way[at]) : std::nullopt;
    if (mark && !precedes(wanted_.transaction, mark->next)) {
      low = at;
    } else {
      high = at > low ? at - 1 : low;
    }
  }
  return low;
}

const std::optional<TransactionMark>& TargetSearch::first_mark(const WalSegment& segment) {
  const auto name = segment.name();
  const auto cached = first_marks_.find(name);
  if (cached != first_marks_.end()) return cached->second;
  std::optional<TransactionMark> first;
  if (const auto known = known_.find(name); known != known_.end()) {
    if (!known->second.marks.empty()) first = known->second.marks.front();
  } else {
    refuse_to_go_on_if_stopped();
    TargetRecords records(wanted_, version_);
    RecordReader reader(records);
    read(segment, reader);
    told(0);
    if (!records.marks.empty()) first = records.marks.front();
  }
  return first_marks_.emplace(name, first).first->second;
}

// Reads from there on up to what is known already, or what settles the search.
void TargetSearch::read_on(const Way& way, std::size_t first, const Span& span) {
  const auto size = way.front().segment_size();
  const auto most = std::clamp<std::uint64_t>(memory_ / size, 1, kFetches);
  std::deque<std::future<Bytes>> coming;
  std::size_t next = first;
  TargetRecords records(wanted_, version_);
  RecordReader reader(records);
  // What was known before is only read for the end of a record that begins before it.
  std::size_t known_from = way.size();
  const auto add = [&](std::size_t i, auto& found, auto Known::*into, auto begin_of) {
    for (const auto& record : std::exchange(found, {})) {
      const auto at = std::invoke(begin_of, record).value() / size - way.front().number();
      // It begins in what was read, or the segment is not the one it is called.
      if ((at == i || at + 1 == i) && at < known_from) (known_[way[at].name()].*into).push_back(record);
    }
  };
  for (std::size_t i = first; i < way.size(); ++i) {
    refuse_to_go_on_if_stopped();
    for (; most > 1 && next < way.size() && next - i < most; ++next)
      coming.push_back(
          std::async(std::launch::async, [this, segment = way[next]] { return fetch(segment); }));
    if (is_known(way, i)) {
      known_from = i;
    } else {
      known_[way[i].name()] = {};
    }
    if (coming.empty()) {
      read(way[i], reader);
    } else {
      reader.write(coming.front().get());
      coming.pop_front();
    }
    told(way.size() - i - 1);

    auto& here = known_[way[i].name()];
    add(i, records.points, &Known::points, &TargetPoint::begin);
    add(i, records.restore_points, &Known::restore_points, &RestorePoint::begin);
    add(i, records.marks, &Known::marks, &TransactionMark::at);
    if (const auto top_level = std::exchange(records.top_level, {})) here.top_level = top_level;
    if (reader.ended()) here.log_end = reader.position();
    bool settled = reader.ended() || i == known_from || settles(here, span);
    if (i > first) {
      auto& before = known_[way[i - 1].name()];
      before.whole = true;
      settled = settled || settles(before, span);
    }
    if (settled) return;
  }
}

bool TargetSearch::settles(const Known& known, const Span& span) const {
  return std::ranges::any_of(known.points,
                             [&](const TargetPoint& found) { return span.holds(found); }) ||
         std::ranges::any_of(known.marks, [&](const TransactionMark& mark) {
           return precedes(wanted_.transaction, mark.oldest_running);
         });
}

void TargetSearch::refuse_to_go_on_if_stopped() const {
  if (stop_.stop_requested())
    throw Error(ErrorKind::cancelled, "interrupted while the target was looked for in the archive");
}

Bytes TargetSearch::fetch(const WalSegment& segment) const {
  MemorySink sink(memory_);
  read(segment, sink);
  return sink.take();
}

void TargetSearch::read(const WalSegment& segment, Sink& sink) const {
  const auto name = segment.name();
  const auto object = objects_.find(name);
  if (object == objects_.end())
    throw Error(ErrorKind::not_found, "WAL segment " + name + " is gone from the archive");
  SegmentHead head(sink, segment.segment_size());
  while_doing("reading WAL segment " + name, [&] {
    archive_.read_segment(object->second, head);
    head.check(object->second, segment, {.system_id = system_id_, .version = version_});
  });
}

void TargetSearch::told(std::uint64_t left) {
  ++read_;
  if (progress_) progress_(read_, read_ + left);
}

}  // namespace pgrevive::wal
