#pragma once

#include <optional>
#include <string>

#include "cluster/node_record.h"
#include "cluster/site.h"
#include "wal/followed_line.h"

namespace pgrevive::cluster {

// Replays the source's WAL on the restored primary up to the target, proves that nothing archived
// was left out, and promotes it. The server runs afterwards, still closed to everybody but us.
// `record` is saved with what was found. Safe to run again after any interruption. What the archive
// was seen to have of the line and has no longer, and what was not replayed before it went, is
// Error{not_found}, unless the target was reached.
//
// It replays as a standby, because a standby never ends recovery by itself: whether a file that
// could not be had was the last one is decided here and not by an exit status.
void recover_primary(Site& site, NodeRecord& record);

// What the restore_command of a node is: our own archive-get, for replicas under the fork rule, for
// the primary along that line.
std::string source_restore_command(const Site& site, const std::string& node,
                                   const std::optional<wal::FollowedLine>& line = {});

}  // namespace pgrevive::cluster
