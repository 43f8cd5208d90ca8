#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/lsn.h"

namespace pgrevive::postgres {

// The ancestors of one timeline, oldest first, as a .history file lists them: each was left at
// `ended` for the next one, the last for the timeline itself.
//
// `ended` does not always rise. A server that follows timeline 2 but is told to stop at a point
// before 2 began promotes to 3 and writes
//
//   1  0/5000000   (where 2 began)
//   2  0/3000000   (where 3 began)
//
// Its line runs on timeline 1 up to 0/3000000 and never touches 2; so ask left() and passes(). A
// standby that begins on 1 is not that clever: its primary sends it 1 as far as the file says, past
// the point where the line left it. straight() is the same line in words that mislead nobody.
struct TimelineHistory {
  struct Ancestor {
    Timeline timeline;
    Lsn ended;
    std::string reason;
    bool operator==(const Ancestor&) const = default;
  };

  Timeline timeline;
  std::vector<Ancestor> ancestors;

  // The text of `timeline`'s history file; throws Error{corrupt} naming the line. Lines may be
  // blank or start with '#'; timelines must rise.
  static TimelineHistory parse(Timeline timeline, std::string_view text);
  static std::string file_name(Timeline timeline);  // "00000002.history"

  // Where `other` was left on the way to this timeline: its own switch point, or an earlier one of
  // a later ancestor. Empty if it is not an ancestor.
  std::optional<Lsn> left(Timeline other) const;
  // Whether the line of this timeline passes `lsn` on `other`: it is the timeline itself, or an
  // ancestor that was left at or after `lsn`.
  bool passes(Timeline other, Lsn lsn) const;

  // The same line without the ancestors that it never touches, so that `ended` rises; of a history
  // that rises already, that history.
  TimelineHistory straight() const;
  // As a history file; parse() gives the same value again.
  std::string text() const;

  bool operator==(const TimelineHistory&) const = default;
};

}  // namespace pgrevive::postgres
