#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/notice.h"

namespace pgrevive::restore {

// What one worker does. It has several files on their way at a time; this is the first of them.
struct WorkerProgress {
  std::string file;  // as the manifest names it; empty: none that is worth a name
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  std::uint64_t files = 0;  // on their way; 0: it waits, or is through
};

// Counters of a restore under way. Bytes are plain bytes of one node; `fetched` are stored bytes as
// they came from the repository, requested once for all nodes.
struct Progress {
  std::uint64_t files_total = 0;
  std::uint64_t files_done = 0;
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_kept = 0;     // found right on disk and not fetched; part of bytes_done
  std::uint64_t fetched_total = 0;  // 0 where it cannot be known beforehand (block incremental)
  std::uint64_t fetched = 0;
  std::uint64_t requests = 0;
  std::vector<WorkerProgress> workers;  // while files are copied
};

// Hears how a restore goes. Methods are called from several threads, one call at a time.
class Observer {
 public:
  virtual ~Observer() = default;

  // A line for the log: lower case, no full stop.
  virtual void message(const std::string&) {}
  virtual void warning(const Notice&) {}
  // At most ten times a second while files are copied, and once at the end.
  virtual void progress(const Progress&) {}
};

}  // namespace pgrevive::restore
