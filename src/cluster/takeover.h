#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/bring_up.h"
#include "cluster/node_record.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// WAL_ARCHIVE=source: the cluster goes on in its source's own stanza, which is right only where the
// source's primary is gone for good. Two primaries that archive into one stanza ruin it, so this
// refuses while anything says that the old one lives. Throws Error{busy}.
//
// Each timeline is looked at by itself: a source that was recovered to an earlier point lives on a
// newer timeline whose places in the log lie before those that the old one came to.
namespace pgrevive::cluster {

// Before anything is restored: on one of the timelines the newest transaction ended, or the newest
// segment or the history file came, a moment ago.
void refuse_living_source(const Settings& settings, const ChosenBackup& chosen);

// What the source has archived last; noted when the nodes are restored.
SourceState newest_of_source(const Settings& settings, const ChosenBackup& chosen);

// Before the first segment is pushed: the source has archived more since then, or still does.
void refuse_source_that_went_on(const Settings& settings, const StateDirectory& directory,
                                const NodeRecord& record);

// What `now` has that `before` had not, in words ("archived X after Y"), of any timeline but `own`;
// empty: nothing. Pure.
std::string news_of_source(const SourceState& before, const SourceState& now,
                           std::optional<std::uint32_t> own);

}  // namespace pgrevive::cluster
