#pragma once

#include <optional>

#include "base/child_process.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// The backup with which the cluster's own archive begins (WAL_ARCHIVE_BACKUP=full): without one
// nothing can be restored from the WAL in it. Made once, by pgBackRest, beside a cluster that is
// up; where it fails, the next start tries again. Whether it was asked for or not, the first tick
// notes which backup there is.
//
// Used by the supervisor's main thread. Its end cuts a backup off that is under way; pgBackRest
// takes up what that has copied.
class FirstBackup {
 public:
  explicit FirstBackup(Site& site) : site_(site) {}
  ~FirstBackup();
  FirstBackup(const FirstBackup&) = delete;
  FirstBackup& operator=(const FirstBackup&) = delete;

  // Begins it, or looks whether it has ended. Throws nothing: a cluster that is up stays so.
  void tick();

 private:
  void begin();
  void end(const ExitStatus& status);
  // The newest backup in the archive, once it is noted; empty: there is none.
  std::string note_newest();
  void fail(const std::string& why);

  Site& site_;
  bool begun_ = false;
  std::optional<ChildProcess> backup_;
};

}  // namespace pgrevive::cluster
