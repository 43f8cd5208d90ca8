#include "postgres/history.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";

// The text up to the next blank, which is taken off `rest` together with the blanks after it.
std::string_view take_word(std::string_view& rest) {
  const auto word = rest.substr(0, rest.find_first_of(kBlanks));
  rest.remove_prefix(word.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  return word;
}

}  // namespace

std::string TimelineHistory::file_name(Timeline timeline) { return timeline.hex() + ".history"; }

TimelineHistory TimelineHistory::parse(Timeline timeline, std::string_view text) {
  TimelineHistory history{timeline, {}};
  std::uint64_t before = 0;  // timelines rise from line to line, as PostgreSQL insists
  int number = 0;
  for (const auto& line : split(text, '\n')) {
    ++number;
    auto rest = trim(line);
    if (rest.empty() || rest.starts_with('#')) continue;
    const auto fail = [&](std::string_view why) {
      return Error(ErrorKind::corrupt, fmt::format("{}, line {}: {}: {}", file_name(timeline),
                                                   number, why, printable(line)));
    };

    const auto id = parse_unsigned(take_word(rest));
    if (!id || *id == 0 || *id > std::numeric_limits<std::uint32_t>::max()) {
      throw fail("no timeline at its beginning");
    }
    if (*id <= before) throw fail("timelines do not rise");
    if (*id >= timeline.value()) throw fail("an ancestor is not older than the timeline itself");
    before = *id;
    Lsn ended;
    try {
      ended = Lsn::parse(take_word(rest));
    } catch (const Error&) {
      throw fail("no switch point after the timeline");
    }
    history.ancestors.push_back(
        {Timeline(static_cast<std::uint32_t>(*id)), ended, std::string(rest)});
  }
  return history;
}

std::optional<Lsn> TimelineHistory::left(Timeline other) const {
  const auto begin = std::ranges::find(ancestors, other, &Ancestor::timeline);
  if (begin == ancestors.end()) return std::nullopt;
  return std::min_element(begin, ancestors.end(),
                          [](const auto& a, const auto& b) { return a.ended < b.ended; })
      ->ended;
}

bool TimelineHistory::passes(Timeline other, Lsn lsn) const {
  if (other == timeline) return true;
  const auto end = left(other);
  return end && lsn <= *end;
}

TimelineHistory TimelineHistory::straight() const {
  TimelineHistory result{timeline, {}};
  Lsn begun;  // where this ancestor branched off the one before it
  for (auto ancestor = ancestors.begin(); ancestor != ancestors.end(); ++ancestor) {
    // The later one that left at the lowest point is the one that follows.
    const auto first_left = std::min_element(
        ancestor, ancestors.end(), [](const auto& a, const auto& b) { return a.ended < b.ended; });
    const bool cut = first_left->ended < ancestor->ended;
    // One that ends where it began was there and wrote nothing, unless it was cut back to that.
    const bool touched = cut ? begun < first_left->ended : begun <= ancestor->ended;
    if (touched)
      result.ancestors.push_back({ancestor->timeline, first_left->ended, first_left->reason});
    begun = ancestor->ended;
  }
  return result;
}

std::string TimelineHistory::text() const {
  std::string text;
  for (const auto& ancestor : ancestors)
    text += fmt::format("{}\t{}\t{}\n", ancestor.timeline.value(), ancestor.ended.text(),
                        ancestor.reason);
  return text;
}

}  // namespace pgrevive::postgres
