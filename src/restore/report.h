#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "restore/observer.h"

namespace pgrevive::restore {

// Tells an Observer what many threads do: one call at a time, progress at most ten times a second.
// Any thread may call anything.
class Report {
 public:
  explicit Report(Observer& observer) : observer_(observer) {}

  void message(const std::string& text);
  void warning(const Notice& notice);
  std::vector<Notice> warnings();

  void expect(std::uint64_t files, std::uint64_t bytes);
  void expect_fetched(std::uint64_t bytes) { fetched_total_ = bytes; }
  void kept(std::uint64_t bytes);  // a file that is right already
  void written(std::uint64_t bytes);
  void unwritten(std::uint64_t bytes) { bytes_done_ -= bytes; }  // they turned out to be wrong
  void file_done() { ++files_done_; }
  void fetched(std::uint64_t bytes);
  void unfetched(std::uint64_t bytes) { fetched_ -= bytes; }  // they came twice
  void requested() { ++requests_; }
  // What worker number `worker` does now. Cheap, but not for each block.
  void working(unsigned worker, std::string_view file, std::uint64_t bytes_done,
               std::uint64_t bytes_total, std::uint64_t files);

  Progress progress();
  void last_progress();

 private:
  void tell_if_due();

  Observer& observer_;
  std::mutex mutex_;  // around the observer and the two below
  std::chrono::steady_clock::time_point told_{};
  std::vector<Notice> warnings_;
  Guarded<std::vector<WorkerProgress>> workers_;
  std::atomic<std::uint64_t> files_total_{0}, files_done_{0}, bytes_total_{0}, bytes_done_{0},
      bytes_kept_{0}, fetched_total_{0}, fetched_{0}, requests_{0};
};

}  // namespace pgrevive::restore
