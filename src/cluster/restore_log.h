#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "cluster/state_directory.h"
#include "cluster/status_board.h"
#include "restore/restore.h"

namespace pgrevive::cluster {

// Writes how a restore goes into every node's restore log (main-restore.log, named after the
// stanza) and into the status.
class RestoreLog : public restore::Observer {
 public:
  RestoreLog(StatusBoard& board, const StateDirectory& directory,
             const std::vector<std::string>& nodes, const std::string& stanza);

  void begin(const std::string& label, const std::string& repository);
  void end(const restore::Summary& summary);
  void failed(const Error& error);

  // A request that is about to be tried again. Any thread may call it at any time.
  void retry(const std::string& what);
  void throttled();

  void message(const std::string& text) override;
  void warning(const Notice& notice) override;
  void progress(const restore::Progress& progress) override;

 private:
  void note();
  void line(const std::string& level, const std::string& text);

  StatusBoard& board_;
  const StateDirectory& directory_;
  std::vector<std::filesystem::path> files_;
  std::vector<std::string> nodes_;
  std::chrono::steady_clock::time_point told_;
};

}  // namespace pgrevive::cluster
