#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/identity.h"
#include "cluster/bring_up.h"
#include "cluster/findings.h"
#include "cluster/needed_locales.h"
#include "cluster/preflight.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// This host: ports, room, programs, locales, memory. `chosen` is the backup to restore; empty: it
// is not known.
void examine_host(const Settings& settings, const StateDirectory& directory,
                  const std::optional<ChosenBackup>& chosen, Findings& findings);

// The room that a restore leaves. Pure.
Finding judge_space(const SpaceNeed& need);

// Whether the servers' shared memory fits into the host's. Pure.
Finding judge_memory(int nodes, std::uint64_t shared_buffers, std::uint64_t memory);

// Whether this host has the locales of all databases that are to be restored. Pure, but for what
// `has_locale` is asked.
Finding judge_locales(const Databases& databases, const HasLocale& has_locale);

}  // namespace pgrevive::cluster
