#include "cluster/archive_line.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "repository/recovery_points.h"

namespace pgrevive::cluster {
namespace {

using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalSegment;

TimelineHistory load_history(const repository::WalArchive& archive, Timeline timeline) {
  auto line = repository::load_line(archive, timeline);
  if (!line)
    throw Error(ErrorKind::not_found, "the archive has no " + TimelineHistory::file_name(timeline))
        .with_hint("choose another recovery target timeline, or leave it out");
  return *std::move(line);
}

Timeline parse_number(const std::string& text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const auto* begin = text.data() + (hex ? 2 : 0);
  const auto* end = text.data() + text.size();
  std::uint32_t value = 0;
  const auto [stop, status] = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (status != std::errc() || stop != end || value == 0)
    throw Error(ErrorKind::usage, "'" + text + "' is not a recovery target timeline")
        .with_hint("use latest, current or a number");
  return Timeline(value);
}

// The first timeline has no history.
std::optional<Timeline> newest_in(const repository::WalArchive& archive) {
  const auto timelines = archive.list_histories();
  if (timelines.empty()) return {};
  return std::ranges::max(timelines);
}

}  // namespace

ArchiveLine choose_line(const repository::WalArchive& archive, Timeline begin,
                        postgres::Lsn position, const std::string& wanted) {
  const ArchiveLine current{.history = {.timeline = begin, .ancestors = {}}};
  if (wanted == "current") return current;
  if (wanted.empty()) {
    auto timelines = archive.list_histories();
    std::ranges::sort(timelines, std::greater<>());
    for (const auto timeline : timelines) {
      if (timeline <= begin) break;
      auto history = load_history(archive, timeline);
      if (history.passes(begin, position)) return {.history = std::move(history)};
    }
    return current;
  }
  const auto timeline = wanted == "latest" ? std::max(newest_in(archive).value_or(begin), begin)
                                           : parse_number(wanted);
  if (timeline == begin) return current;
  auto history = load_history(archive, timeline);
  if (!history.passes(begin, position))
    throw Error(ErrorKind::usage, "timeline " + std::to_string(timeline.value()) +
                                      " left timeline " + std::to_string(begin.value()) +
                                      " before the backup's " + position.text())
        .with_hint("choose an older backup, or another recovery target timeline");
  return {.history = std::move(history)};
}

std::optional<TimelineHistory> rival_of(const repository::WalArchive& archive,
                                        const ArchiveLine& line, Timeline begin,
                                        postgres::Lsn position) {
  const auto newest = newest_in(archive);
  if (!newest || *newest <= line.timeline()) return {};
  auto history = load_history(archive, *newest);
  if (history.passes(begin, position)) return {};
  return history;
}

NewerLines newer_lines(const repository::WalArchive& archive, const ArchiveLine& line,
                       Timeline begin, postgres::Lsn start, Timeline on, postgres::Lsn position) {
  NewerLines found;
  auto timelines = archive.list_histories();
  std::ranges::sort(timelines, std::greater<>());
  for (const auto timeline : timelines) {
    if (timeline <= line.timeline()) break;
    auto history = load_history(archive, timeline);
    if (history.passes(on, position)) {
      found.onward = ArchiveLine{.history = std::move(history)};
      break;
    }
    if (history.passes(begin, start)) found.aside.push_back(std::move(history));
  }
  return found;
}

bool wants_latest(const std::string& wanted) { return wanted.empty() || wanted == "latest"; }

std::string wanted_timeline(const restore::RecoveryTarget& target) {
  if (target.timeline.empty() && target.type == restore::RecoveryType::immediate) return "current";
  return target.timeline;
}

restore::OnTheWay on_the_way(const repository::Repository& repository,
                             const repository::BackupInfo& info,
                             const restore::RecoveryTarget& target) {
  if (target.timeline.empty() || target.timeline == "current") return {};
  const bool latest = target.timeline == "latest";
  TimelineHistory history{.timeline = latest ? Timeline(1) : parse_number(target.timeline),
                          .ancestors = {}};
  // The first has none.
  if (const auto* database = info.database(info.current_id);
      database != nullptr && (latest || history.timeline.value() > 1)) {
    const repository::WalArchive archive(repository, repository.load_archive_info(),
                                         database->system_id, database->version);
    const auto timeline = latest ? newest_in(archive) : history.timeline;
    if (!timeline) return {};  // there is but one
    history = load_history(archive, *timeline);
  }
  return [history, latest](const repository::Backup& backup) {
    // An offline backup says nothing of timelines.
    if (!backup.archive_start || !backup.lsn_stop) return true;
    const auto begin = Timeline::parse_hex(backup.archive_start->substr(0, 8));
    // That of the newest may be lost, of which the backup tells.
    return history.passes(begin, *backup.lsn_stop) || (latest && begin > history.timeline);
  };
}

std::optional<ArchiveEnd> newest_on(const ArchiveLine& line, const repository::WalArchive& archive,
                                    const WalSegment& from) {
  const auto size = from.segment_size();
  const auto last_of = [&](Timeline timeline) -> std::vector<WalSegment> {
    std::vector<WalSegment> segments;
    for (const auto& name : archive.list_segments(timeline, from.on(timeline).name()))
      segments.push_back(WalSegment::parse(name, size));
    return segments;
  };
  const auto has_partial = [&](const WalSegment& segment) {
    return archive.find_segment(segment.name() + ".partial").has_value();
  };
  if (auto segments = last_of(line.timeline()); !segments.empty()) {
    const auto next = segments.back().next();
    if (has_partial(next)) return ArchiveEnd{.segment = next, .unfinished = true};
    return ArchiveEnd{.segment = segments.back()};
  }
  const auto& ancestors = line.history.ancestors;
  // Its first one may be one that was never finished.
  const auto begun = ancestors.empty() ? std::uint64_t{0} : ancestors.back().ended.value() / size;
  const WalSegment first(line.timeline(), std::max(from.number(), begun), size);
  if (has_partial(first)) return ArchiveEnd{.segment = first, .unfinished = true};
  for (auto ancestor = ancestors.rbegin(); ancestor != ancestors.rend(); ++ancestor) {
    auto segments = last_of(ancestor->timeline);
    // What the old timeline wrote after it was left is on no line of ours.
    std::erase_if(segments,
                  [&](const auto& segment) { return segment.begin() >= ancestor->ended; });
    const auto left_in = WalSegment::containing(ancestor->timeline, ancestor->ended, size);
    if (left_in.begin() < ancestor->ended && left_in.number() >= from.number() &&
        ((!segments.empty() && segments.back() == left_in) || has_partial(left_in)))
      return ArchiveEnd{.segment = left_in, .unfinished = true};
    if (!segments.empty()) return ArchiveEnd{.segment = segments.back()};
  }
  return {};
}

}  // namespace pgrevive::cluster
