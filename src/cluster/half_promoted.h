#pragma once

#include "postgres/control_file.h"

namespace pgrevive::cluster {

// Whether a server that was told to become a primary ended before it had become one; `line` is the
// timeline that it recovered along. Its signal file tells nothing of that: PostgreSQL removes it
// some steps before pg_control knows of the new timeline.
//
//   signal file gone │ history written, end of recovery in the WAL │ pg_control tells of it
//                    └── a server that is started from here on ────┘
//
// goes on as after a crash: along the timeline of its last checkpoint, to the end of what WAL of
// that lies there, and is a primary on it. That leaves out what other timelines had to give, and
// goes past the target. Such a one has to be a standby again, and recover to its end once more.
// Pure; of a server that does not run.
bool half_promoted(const postgres::ControlFile& control, postgres::Timeline line);

}  // namespace pgrevive::cluster
