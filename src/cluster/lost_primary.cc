#include "cluster/lost_primary.h"

#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "cluster/marker.h"
#include "cluster/node_record.h"
#include "cluster/supervisor_process.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kPrimary = "primary";

bool is_complete(const StateDirectory& directory, const std::string& node) {
  return restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete;
}

NodeRecord record_of(const StateDirectory& directory, const std::string& node) {
  return NodeRecord::load(directory, node).value_or(NodeRecord{});
}

// More than what the backup has: it streamed, or is a copy of the primary, or had the cluster's own
// archive replayed.
bool holds_own_data(const StateDirectory& directory, const std::string& node) {
  if (!is_complete(directory, node)) return false;
  const auto record = record_of(directory, node);
  // One that is given away stays `joined` until it is made anew.
  return record.joined || record.after_promotion ||
         (record.backup_label.empty() && !record.unfinished);
}

}  // namespace

void refuse_lost_primary(const StateDirectory& directory) {
  if (is_complete(directory, kPrimary) && !record_of(directory, kPrimary).unfinished) return;
  for (const auto& node : existing_nodes(directory)) {
    if (node == kPrimary || !holds_own_data(directory, node)) continue;
    throw Error(ErrorKind::not_found, "the primary's data directory " +
                                          directory.data(kPrimary).string() + " is gone, but " +
                                          node + " still holds what the cluster wrote")
        .with_hint(
            "put that directory back (is a file system not mounted?); if it is lost, save "
            "what you need of " +
            directory.data(node).string() +
            ", whose server can be started by hand, then cleanup and start");
  }
  const auto marker = Marker::load(directory);
  if (!marker || marker->opened_ms == 0) return;
  throw Error(ErrorKind::not_found,
              "the primary's data directory " + directory.data(kPrimary).string() +
                  " is gone, and with it what was written to the cluster since " +
                  format_time(std::chrono::system_clock::time_point(
                      std::chrono::milliseconds(marker->opened_ms))))
      .with_hint(
          "put that directory back (is a file system not mounted?); if it is lost, `start --anew` "
          "makes the cluster anew of the source's backups (one without any data: cleanup and "
          "start); of backups that were made into its own archive a cluster of another name can "
          "be restored");
}

}  // namespace pgrevive::cluster
