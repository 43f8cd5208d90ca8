#include "restore/report.h"

namespace pgrevive::restore {

void Report::message(const std::string& text) {
  const std::lock_guard lock(mutex_);
  observer_.message(text);
}

void Report::warning(const Notice& notice) {
  const std::lock_guard lock(mutex_);
  warnings_.push_back(notice);
  observer_.warning(notice);
}

std::vector<Notice> Report::warnings() {
  const std::lock_guard lock(mutex_);
  return warnings_;
}

void Report::expect(std::uint64_t files, std::uint64_t bytes) {
  files_total_ = files;
  bytes_total_ = bytes;
}

void Report::kept(std::uint64_t bytes) {
  ++files_done_;
  bytes_done_ += bytes;
  bytes_kept_ += bytes;
  tell_if_due();
}

void Report::written(std::uint64_t bytes) {
  bytes_done_ += bytes;
  tell_if_due();
}

void Report::fetched(std::uint64_t bytes) {
  fetched_ += bytes;
  tell_if_due();
}

void Report::working(unsigned worker, std::string_view file, std::uint64_t bytes_done,
                     std::uint64_t bytes_total, std::uint64_t files) {
  auto workers = workers_.lock();
  if (workers->size() <= worker) workers->resize(worker + 1);
  auto& one = workers->at(worker);
  one.file.assign(file);
  one.bytes_done = bytes_done;
  one.bytes_total = bytes_total;
  one.files = files;
}

Progress Report::progress() {
  return {.files_total = files_total_,
          .files_done = files_done_,
          .bytes_total = bytes_total_,
          .bytes_done = bytes_done_,
          .bytes_kept = bytes_kept_,
          .fetched_total = fetched_total_,
          .fetched = fetched_,
          .requests = requests_,
          .workers = *workers_.lock()};
}

void Report::tell_if_due() {
  // Whoever comes while another thread tells has nothing to add.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - told_ < std::chrono::milliseconds(100)) return;
  told_ = now;
  observer_.progress(progress());
}

void Report::last_progress() {
  const std::lock_guard lock(mutex_);
  observer_.progress(progress());
}

}  // namespace pgrevive::restore
