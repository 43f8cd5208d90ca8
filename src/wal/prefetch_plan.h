#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "postgres/wal_name.h"

// Which segment is fetched next, and for whom. Pure.
namespace pgrevive::wal {

// Numbers of the segments that the archive has, by timeline.
using KnownSegments = std::map<postgres::Timeline, std::set<std::uint64_t>>;

// One server that segments are fetched for.
struct Reader {
  // It may be handed nothing yet: a replica, while its primary has not left the source's history.
  // What others are given is kept for it, as far as there is room.
  bool waiting = false;
  bool finished = false;  // it wants nothing more
  bool full = false;      // its disk: it gets what it waits for, and nothing ahead of that
  // What it may have; empty: everything.
  std::function<bool(const postgres::WalSegment&)> allows;
  // What it waits for at this moment.
  std::optional<postgres::WalSegment> asked;
  // What it will ask for next, as far as anybody knows.
  std::optional<postgres::WalSegment> next;
  // What lies in its spool or is on the way there.
  std::set<postgres::WalSegment> held;
};

struct PlanLimits {
  std::size_t files = 64;  // in all spools together
  // How far ahead of a server that replays, while another one is waiting for the same segments.
  std::size_t ahead = 16;
};

struct Fetch {
  postgres::WalSegment segment;
  std::vector<std::size_t> readers;  // who gets a copy, at least one
};

// What a server will probably ask for, `next` included, at most `count`: the segments one after the
// other, on the timeline of the one before as long as it goes on, else on the next newer one that
// has the place. (Which line a server follows is its own secret; a wrong guess costs a segment that
// is fetched for nothing.) Ends where the archive does.
std::vector<postgres::WalSegment> upcoming(const Reader& reader, const KnownSegments& known,
                                           std::size_t count);

std::size_t held_by_all(const std::vector<Reader>& readers);

// How many segments ahead of each server that replays.
std::size_t window(const std::vector<Reader>& readers, const PlanLimits& limits);

// The next segment to fetch; empty: nothing, or no room. Segments in `avoid` are left alone. What a
// server waits for comes first and always finds room; then what is nearest to any server.
std::optional<Fetch> next_fetch(const std::vector<Reader>& readers, const KnownSegments& known,
                                const std::set<postgres::WalSegment>& avoid,
                                const PlanLimits& limits);

// What the reader holds and will probably not ask for: passed, or of a line that was left. It may
// go where room is needed, but not before: PostgreSQL reads its checkpoint's segment first, and
// begins replay in an earlier one.
std::vector<postgres::WalSegment> useless(const Reader& reader, const KnownSegments& known,
                                          const PlanLimits& limits);

}  // namespace pgrevive::wal
