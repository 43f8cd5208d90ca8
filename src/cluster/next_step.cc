#include "cluster/next_step.h"

namespace pgrevive::cluster {
namespace {

using restore::DirectoryState;

bool whole(const NodeView& node) {
  return node.directory == DirectoryState::complete && !node.unfinished;
}

// initdb and pg_basebackup leave directories that look like somebody's or like whole ones; only
// our record tells them.
bool foreign(const NodeView& node) {
  return node.directory == DirectoryState::foreign && !node.unfinished;
}

Step primary_step(const NodeView& node, bool from_backup) {
  if (foreign(node)) return Step::refuse;
  if (!whole(node)) return from_backup ? Step::restore : Step::initialize;
  if (!node.promoted) return Step::recover;
  if (!node.set_up) return Step::set_up;
  return Step::run;
}

Step replica_step(const NodeView& node, const NodeView& primary, bool from_backup) {
  if (foreign(node)) return Step::refuse;
  if (!whole(node)) {
    // Before the promotion the backup serves both. After it the WAL between backup and primary may
    // be gone, so for a replica that comes later the way has to be looked at.
    if (from_backup && !primary.promoted && !node.unfinished) return Step::restore;
    return primary.set_up ? Step::rebuild : Step::wait;
  }
  // Started before its primary was promoted, a replica could replay the source's WAL past the point
  // where the primary leaves it, and never join.
  if (!primary.set_up) return Step::wait;
  return node.joined ? Step::run : Step::join;
}

}  // namespace

Step next_step(Role role, const NodeView& node, const NodeView& primary, bool from_backup) {
  return role == Role::primary ? primary_step(node, from_backup)
                               : replica_step(node, primary, from_backup);
}

}  // namespace pgrevive::cluster
