#pragma once

#include <string>
#include <vector>

#include "base/child_process.h"
#include "cluster/marker.h"
#include "cluster/node_record.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// Refuses, before anything is restored, an archive that already holds another cluster's WAL: a new
// cluster of the same source would write the same timeline again. Throws Error{target_not_empty}.
void check_own_archive_is_free(const Settings& settings, const StateDirectory& directory,
                               const Marker& marker);

// Whether the cluster's own stanza in that archive is the one that it has made, as far as it noted
// where.
bool has_made_stanza(const NodeRecord& record, const repository::RepositoryOptions& archive);

// check_own_archive_is_free() for a cluster that is there, whose settings may name another place
// than before: refuses one where the stanza is not the one that this cluster made.
void check_own_archive_is_ours(const Settings& settings, const StateDirectory& directory,
                               const Marker& marker, const NodeRecord& record);

// Gives the running primary an archive, its own made by pgBackRest or the source's, and proves that
// a segment arrives in it. Without a stanza-create that works there is no archive_command, and the
// WAL stays. Once that was proven, a later start only warns when the archive cannot be reached.
void set_up_archiving(Site& site, NodeRecord& record);

// What the primary's archive_command is once the archive is there.
std::string archive_command(const Site& site);
// pgBackRest with the cluster's own configuration and stanza.
Command backrest_command(const Site& site, const std::vector<std::string>& words);
// For a replica that has joined: WAL that its primary has removed.
std::string own_restore_command(const Site& site, const std::string& node);

}  // namespace pgrevive::cluster
