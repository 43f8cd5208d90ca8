#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "cluster/node_record.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// The replica and the primary change places: the names and ports of nodes say what they do, so who
// connects to the primary's port reaches the new one.
//
// The primary is stopped cleanly, by which its replicas get all it wrote, and the replica is proven to
// have replayed that. Then the two directories are exchanged in one step of the file system. Up to there
// everything can go back and nothing was changed; from there on finish_switchover() completes it, now or
// with the next start. One that is far behind is refused first, since the rest would be waited for with
// nobody able to connect. Nothing that was committed is lost, and nothing that was not archived either:
// it goes back where the archive lacks something.
//
// When it returns the new primary runs and is promoted, and bring_up() does the rest. Throws what keeps
// it from that; the servers may be down then, for bring_up() to start.
void switch_over(Site& site, const std::string& replica);
// What it refuses over before it touches anything.
void check_can_switch(const Site& site, const std::string& replica);

// Completes what an interrupted one had begun, or forgets it where nothing was exchanged yet. Does
// nothing where there was none.
void finish_switchover(Site& site);

// The primary's record. Where a switchover was cut off right behind the exchange, the one in the
// primary's directory is still its replica's, and what is meant is in the plan.
std::optional<NodeRecord> load_primary_record(const StateDirectory& directory);

// Physical slots that a server kept for its replicas when it was the primary hold back WAL for ever.
void drop_slots_of_a_primary(Site& site, const std::string& node, const std::string& source_user);

// The first WAL file that waits to be archived; empty: there is none. What cannot be read is an Error:
// it must not count as archived. The argument is pg_wal/archive_status.
std::optional<std::string> unarchived(const std::filesystem::path& archive_status);

// Where the links of tablespaces in that directory (pg_tblspc) lead after `one` and `other` were
// exchanged, by their names. What cannot be read is an Error: without them each of the two would have
// the other's tablespaces.
std::map<std::string, std::string> links_after(const std::filesystem::path& links,
                                               const std::filesystem::path& one,
                                               const std::filesystem::path& other);

// Where a tablespace's link leads after the directories `one` and `other` were exchanged. Pure.
std::filesystem::path exchanged(const std::filesystem::path& target,
                                const std::filesystem::path& one,
                                const std::filesystem::path& other);

}  // namespace pgrevive::cluster
