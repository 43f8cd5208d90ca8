#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/history.h"
#include "postgres/lsn.h"

namespace pgrevive::wal {

// The line of timelines that a server recovers along, as its restore_command tells archive-get
// (--line): the timeline it ends on, and of each ancestor the segment in which it was left, of
// which only the beginning is of the line. PostgreSQL keeps to itself which line it follows; it
// asks for a place of the log on the newest timeline of it first and then on older ones, and reads
// what it is given to its end, also past the point where the line left that timeline.
struct FollowedLine {
  postgres::Timeline timeline;
  std::vector<std::string> left_in;  // segment names, a timeline each

  // "3:000000010000000000000005,000000020000000000000007"; "1". parse() throws Error{usage}.
  static FollowedLine parse(const std::string& text);
  // Of a straight history, from timeline `begin` on.
  static FollowedLine of(const postgres::TimelineHistory& history, postgres::Timeline begin,
                         std::uint32_t segment_size);
  std::string text() const;

  enum class Place {
    on_it,      // all of the segment is of the line
    left_here,  // the line leaves the timeline in it, or where it begins
    behind,     // the timeline was left before
    elsewhere,  // of a timeline that is none of the line's
  };
  // Of a segment's name.
  Place place(std::string_view segment) const;
};

}  // namespace pgrevive::wal
