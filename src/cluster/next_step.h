#pragma once

#include "restore/restore.h"

namespace pgrevive::cluster {

enum class Role { primary, replica };

// What is known of one node, from its directory and its record.
struct NodeView {
  restore::DirectoryState directory = restore::DirectoryState::absent;
  bool unfinished = false;  // initdb or pg_basebackup was interrupted in it
  bool promoted = false;    // primary: it left recovery and was recorded as the primary
  bool set_up = false;      // primary: roles, database and quarantine are done
  bool joined = false;      // replica: it streamed from this cluster's primary
};

enum class Step {
  refuse,        // its directory holds what we did not put there
  restore,       // from the backup
  initialize,    // make an empty new cluster
  recover,       // replay up to the target, then promote
  set_up,        // start as primary, make roles and the like
  wait,          // replica: until the primary is set up
  rebuild,       // replica: from the backup or from the primary as it is, whichever is sooner
  join,          // start as replica, until it streams
  run,           // start if it does not run, and watch
};

// The one thing to do next for a node, `primary` being the primary of its cluster (itself for
// Role::primary). Pure: every arrow of a cluster's life is a line of next_step_test.cc.
Step next_step(Role role, const NodeView& node, const NodeView& primary, bool from_backup);

}  // namespace pgrevive::cluster
