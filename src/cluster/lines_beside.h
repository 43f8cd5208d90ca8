#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/notice.h"
#include "postgres/history.h"
#include "postgres/lsn.h"
#include "repository/recovery_points.h"

// Other lines of timelines that lead on from the same backup, beside the one that recovery follows:
// a source that failed over while its old primary went on, one that was recovered to an earlier
// point. The newest timeline is no proof that it is the source's.
namespace pgrevive::cluster {

struct LineBeside {
  postgres::Timeline timeline;
  postgres::Lsn parting;     // up to there both lines are the same
  std::string last_segment;  // of its continuous WAL
  postgres::Lsn end;         // the byte after that; behind `parting`
  // Has a segment that begins at the parting or behind it, or is known to have a transaction there.
  bool went_on = false;
  std::optional<std::int64_t>
      newest;  // its newest transaction, microseconds since 1970; if asked for
};

// The LSN up to which both are the same line, for who begins on timeline `begin`, which both pass;
// the greatest there is for a line and itself.
postgres::Lsn parting(const postgres::TimelineHistory& one, const postgres::TimelineHistory& other,
                      postgres::Timeline begin);

// Those that `points` lead to and that hold WAL behind the parting, without `newest`. `line` is
// what recovery follows from timeline `begin` on; `contents` are those of the archive. Pure.
std::vector<LineBeside> lines_beside(const postgres::TimelineHistory& line,
                                     postgres::Timeline begin,
                                     const repository::RecoveryPoints& points,
                                     const repository::ArchiveContents& contents);

// "timeline 1 goes on beside timeline 2 from 0/5000000 to 0/9000000, newest transaction ...".
std::string beside_text(const LineBeside& beside, postgres::Timeline line);
Notice beside_notice(const LineBeside& beside, postgres::Timeline line);

// That a person has to say which is meant: `why` is what both have in common, or what the one has
// that is not followed.
Error ambiguous_line(const LineBeside& beside, postgres::Timeline line, const std::string& why);

}  // namespace pgrevive::cluster
