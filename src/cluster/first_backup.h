#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "cluster/site.h"

namespace pgrevive::cluster {

// The backup with which the cluster's own archive begins (WAL_ARCHIVE_BACKUP=full): without one
// nothing can be restored from the WAL in it. Made once, by pgBackRest, beside a cluster that is
// up; where it fails, the next start tries again. Whether it was asked for or not, the first ticks
// note which backup there is; pgBackRest is asked for that, too, so that nobody waits for a place
// that does not answer.
//
// Used by the supervisor's main thread. Its end cuts a backup off that is under way; pgBackRest
// takes up what that has copied.
class FirstBackup {
 public:
  explicit FirstBackup(Site& site) : site_(site) {}
  ~FirstBackup();
  FirstBackup(const FirstBackup&) = delete;
  FirstBackup& operator=(const FirstBackup&) = delete;

  // Begins what is next, or looks whether it has ended. Throws nothing: a cluster that is up stays
  // so.
  void tick();

 private:
  enum class State { fresh, looking, making, looking_again, done };

  void begin();
  void start(State state, const std::vector<std::string>& words);
  void go_on(const ExitStatus& status);
  // Notes which backup pgBackRest has found; empty: there is none.
  std::string note_newest();
  void fail(const std::string& why);
  std::filesystem::path said() const;

  Site& site_;
  State state_ = State::fresh;
  std::optional<ChildProcess> child_;
};

// The newest backup that `pgbackrest info --output=json` tells of; empty: none. Pure; throws
// Error{corrupt} where the text is something else, and Error{unavailable} where pgBackRest could
// not look.
std::string newest_backup_in(const std::string& info);

}  // namespace pgrevive::cluster
