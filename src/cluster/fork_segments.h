#pragma once

#include <cstdint>
#include <vector>

#include "postgres/history.h"
#include "postgres/wal_name.h"

namespace pgrevive::cluster {

// The segments of older timelines that a primary is asked for by replicas that were restored with
// it, and that it need not have. Pure.
//
// A replica streams from the beginning of the segment in which its primary's timeline begins. Where
// the source had failed over in that segment already, it asks for every timeline in turn, and a
// primary reads the end of each from the file of the next one:
//
//   timeline 2 ───┐          of this segment the primary has what it replayed, which is
//                 4 ───┐     of the timeline it was on the way to, and its own: of 4 there
//                      6 ──  is nothing, and a replica that asks for it asks for ever
//
// `own` is the history of the primary's timeline; only of one that rises is this true.
std::vector<postgres::WalSegment> fork_segments(const postgres::TimelineHistory& own,
                                                std::uint32_t segment_size);

}  // namespace pgrevive::cluster
