#pragma once

#include <optional>
#include <string>

#include "cluster/bring_up.h"
#include "cluster/node_record.h"
#include "cluster/settings.h"

// WAL_ARCHIVE=source: the cluster goes on in its source's own stanza, which is right only where the
// source's primary is gone for good. Two primaries that archive into one stanza ruin it, so this
// refuses while anything says that the old one lives. Throws Error{busy}.
namespace pgrevive::cluster {

// Before anything is restored: the newest transaction in the archive ended a moment ago, or its
// newest segment came a moment ago.
void refuse_living_source(const Settings& settings, const ChosenBackup& chosen);

// What the source has archived last, over all timelines; noted when the nodes are restored. Empty:
// nothing.
std::string newest_of_source(const Settings& settings, const ChosenBackup& chosen);

// Before the first segment is pushed: the source has archived more since then, or still does.
void refuse_source_that_went_on(const Settings& settings, const NodeRecord& record);

}  // namespace pgrevive::cluster
