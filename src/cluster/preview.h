#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/bring_up.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "cluster/target_preview.h"

namespace pgrevive::cluster {

// What the archive beside that backup says about the target of the settings.
Outlook look_ahead(const Settings& settings, const ChosenBackup& chosen, bool exact,
                   const PointWatch& watch = {});

// What `start` would do, without anything of it.
struct Preview {
  enum class Work {
    restore,
    new_empty,   // RESTORE_FROM_BACKUP=false: initdb
    start_only,  // the primary is there already
  } work = Work::restore;
  std::uint64_t nodes = 0;  // that are made
  // Of Work::restore, without what DB_INCLUDE and DB_EXCLUDE leave out:
  std::optional<TargetPreview> restore;
  std::uint64_t free_bytes = 0;  // where the nodes go

  std::optional<Error> place_problem;  // of the room for the nodes, and of TABLESPACE_MAP

  // Why `start` would refuse, as where the target cannot be reached; null: it would not.
  const Error* problem() const;
  // Whether that is for the places alone.
  bool refused_for_places() const;
};

// Whether it is told what keeps nodes from lying where they are to.
enum class Places {
  judged,
  not_judged,  // the cluster that is there has them, and would be thrown away before
};

// Reads of the repository what it needs, and writes nothing anywhere. Throws what keeps it from
// knowing; that the target is out of reach is in the outlook.
Preview make_preview(Settings settings, const StateDirectory& directory, const PointWatch& watch,
                     Places places);

std::string to_text(const Preview& preview, const std::string& cluster_name);
std::string to_json(const Preview& preview);

}  // namespace pgrevive::cluster
