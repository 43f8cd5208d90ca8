#include "wal/followed_line.h"

#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "postgres/wal_name.h"

namespace pgrevive::wal {
namespace {

constexpr std::size_t kTimelineDigits = 8;

}  // namespace

FollowedLine FollowedLine::parse(const std::string& text) {
  const auto colon = text.find(':');
  const auto number = parse_unsigned(std::string_view(text).substr(0, colon));
  const auto wrong = [&] {
    return Error(ErrorKind::usage,
                 fmt::format("--line: '{}' is no line of timelines", printable(text, 80)))
        .with_hint(
            "it is the timeline that recovery follows, and behind a colon the segments in "
            "which that line left each older one: 2:000000010000000000000005");
  };
  if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max()) throw wrong();
  FollowedLine line{.timeline = postgres::Timeline(static_cast<std::uint32_t>(*number)),
                    .left_in = {}};
  for (auto begin = colon; begin != std::string::npos;) {
    const auto end = text.find(',', begin + 1);
    auto name = text.substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
    if (postgres::wal_file_kind(name) != postgres::WalFileKind::segment) throw wrong();
    line.left_in.push_back(std::move(name));
    begin = end;
  }
  return line;
}

FollowedLine FollowedLine::of(const postgres::TimelineHistory& history, postgres::Timeline begin,
                              std::uint32_t segment_size) {
  FollowedLine line{.timeline = history.timeline, .left_in = {}};
  for (const auto& ancestor : history.ancestors)
    if (ancestor.timeline >= begin)
      line.left_in.push_back(
          postgres::WalSegment::containing(ancestor.timeline, ancestor.ended, segment_size).name());
  return line;
}

std::string FollowedLine::text() const {
  return left_in.empty() ? std::to_string(timeline.value())
                         : fmt::format("{}:{}", timeline.value(), fmt::join(left_in, ","));
}

FollowedLine::Place FollowedLine::place(std::string_view segment) const {
  const auto hex = segment.substr(0, kTimelineDigits);
  if (hex == timeline.hex()) return Place::on_it;
  for (const auto& left : left_in) {
    if (!left.starts_with(hex)) continue;
    if (segment < left) return Place::on_it;
    return segment == left ? Place::left_here : Place::behind;
  }
  return Place::elsewhere;
}

}  // namespace pgrevive::wal
