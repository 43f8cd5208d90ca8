#include "cluster/restore_log.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cluster/restore_history.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::seconds kProgressEvery{5};

std::string describe(const restore::Progress& progress) {
  return fmt::format("{} of {} files, {} of {}, {} fetched, {} requests", progress.files_done,
                     progress.files_total, format_bytes(progress.bytes_done),
                     format_bytes(progress.bytes_total), format_bytes(progress.fetched),
                     progress.requests);
}

}  // namespace

RestoreLog::RestoreLog(StatusBoard& board, const StateDirectory& directory,
                       const std::vector<std::string>& nodes, const std::string& stanza)
    : board_(board), directory_(directory), nodes_(nodes) {
  for (const auto& node : nodes) files_.push_back(directory.logs(node) / (stanza + "-restore.log"));
}

void RestoreLog::begin(const std::string& label, const std::string& repository) {
  std::string all;
  for (const auto& node : nodes_) all += (all.empty() ? "" : ", ") + node;
  line("INFO", "restoring backup " + label + " of " + repository + " to " + all + " in one pass");
  note();
}

void RestoreLog::end(const restore::Summary& summary) {
  line("INFO", fmt::format("restored backup {} in {}: {}", summary.label.text(),
                           format_duration(summary.time), describe(summary.progress)));
  board_.change([&](SupervisorStatus& status) { status.restore = summary.progress; });
  board_.flush();
}

void RestoreLog::failed(const Error& error) { line("ERROR", error.text()); }

// A line is one write() at the end of each file, so lines of several threads do not mix.
void RestoreLog::retry(const std::string& what) {
  line("WARN", what);
  board_.change([](SupervisorStatus& status) { ++status.restore_retries; });
}

void RestoreLog::throttled() {
  board_.change([](SupervisorStatus& status) { ++status.restore_throttled; });
}

void RestoreLog::message(const std::string& text) { line("INFO", text); }

void RestoreLog::warning(const Notice& notice) {
  line("WARN", notice.text);
  board_.warn(notice);
}

void RestoreLog::progress(const restore::Progress& progress) {
  board_.change([&](SupervisorStatus& status) { status.restore = progress; });
  const auto time = std::chrono::steady_clock::now();
  if (time - told_ < kProgressEvery) return;
  told_ = time;
  line("INFO", describe(progress));
  note();
}

// For one whose supervisor is killed; who lives notes how it ended in the place of this.
void RestoreLog::note() {
  const auto so_far = past_restore(board_.status(), "interrupted", "", unix_milliseconds());
  if (!so_far) return;
  try {
    note_restore(directory_, *so_far);
  } catch (const Error& error) {
    board_.log("how the restore goes cannot be noted: " + error.text());
  }
}

void RestoreLog::line(const std::string& level, const std::string& text) {
  const auto written =
      format_time(std::chrono::system_clock::now()) + " " + level + ": " + text + "\n";
  for (const auto& file : files_) {
    const auto fd = open_file(file, O_WRONLY | O_CREAT | O_APPEND, 0640);
    write_all(fd.get(), as_bytes(written), file);
  }
}

}  // namespace pgrevive::cluster
