#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/history.h"
#include "postgres/wal_name.h"

namespace pgrevive::wal {

// What an archive holds that bears on one absent segment.
struct Listing {
  std::vector<postgres::TimelineHistory> histories;  // every archived one
  // By timeline, in order: its archived segments at or after the place of the absent one.
  std::map<postgres::Timeline, std::vector<postgres::WalSegment>> segments;
};

// Why the absence of `absent` is a gap in the archive, for the operator; empty where it may be the
// archive's end.
//
// PostgreSQL asks for a place of the log on the newest timeline of its line first, then on older
// ones, and takes "absent" from the last of them for the end of the log: it opens the cluster with
// what it has. So "absent" is only right where nothing archived shows that this segment was there:
//
// 1. A timeline has no segments before the place it began at (its history says where). Absent.
// 2. An archived history left this timeline at or after the segment's end: the segment was written
//    to its last byte and another timeline built upon it. Gap, also where no later segment of this
//    timeline is there.
// 3. A later segment of this timeline is there. Gap, but for one case: another timeline left this
//    one at or before the segment's beginning, and from here on nothing of that timeline's line is
//    archived yet. PostgreSQL may be following that one, right after its promotion, and asks here
//    only because its first segment is not archived; what an old primary went on to write here is
//    not its concern. (Where something of that line is archived, PostgreSQL following it would have
//    found it before it asked here, so it follows this timeline and the hole is real.)
// 4. Else the end.
//
// `on_line`: it is known that the server follows a line that the whole segment is on, so that no
// other timeline is the excuse of rule 3.
//
// The segment in which a timeline was left is no gap by rule 2: it was never finished, and the next
// timeline's segment of that place begins with a copy of it.
std::optional<std::string> find_gap(const postgres::WalSegment& absent, const Listing& listing,
                                    bool on_line = false);

}  // namespace pgrevive::wal
