#include "cli/progress_view.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;
using cluster::Rates;

constexpr std::size_t kBarWidth = 20;
constexpr std::size_t kWidthForBar = 88;

std::string bar(std::uint64_t done, std::uint64_t total) {
  const std::size_t full =
      total == 0 ? 0
                 : std::min<std::size_t>(
                       kBarWidth, static_cast<std::size_t>(static_cast<double>(done) * kBarWidth /
                                                           static_cast<double>(total)));
  return "[" + std::string(full, '#') + std::string(kBarWidth - full, '-') + "]";
}

// Less than a second is not worth a word.
std::string left_text(std::string_view before, const std::optional<std::int64_t>& left_ms) {
  if (left_ms.value_or(0) < 1000) return "";
  return fmt::format("{}{} left", before, format_duration(std::chrono::milliseconds(*left_ms)));
}

std::string cut(std::string text, std::size_t width) {
  if (width != 0 && text.size() > width) text.resize(width);
  return text;
}

}  // namespace

std::string progress_line(const restore::Progress& progress, const Rates& rates,
                          std::size_t width) {
  // An empty total is a manifest that is still being read.
  if (progress.bytes_total == 0 && progress.files_total == 0) return "reading the manifest";
  const std::uint64_t percent =
      progress.bytes_total == 0
          ? 100
          : static_cast<std::uint64_t>(static_cast<double>(progress.bytes_done) * 100.0 /
                                       static_cast<double>(progress.bytes_total));
  std::string text =
      fmt::format("{:3} %  {} of {}  {}/{} files", std::min<std::uint64_t>(percent, 100),
                  format_bytes(progress.bytes_done), format_bytes(progress.bytes_total),
                  progress.files_done, progress.files_total);
  if (const double rate = rates.bytes_per_second; rate >= 1)
    text += fmt::format("  {}/s", format_bytes(static_cast<std::uint64_t>(rate)));
  text += left_text("  ", rates.left_ms);
  if (width == 0) return std::string(trim(text));
  // The numbers are worth more than the bar where there is no room for both; the width alone
  // decides, so that the bar does not come and go.
  if (width < kWidthForBar) return cut(text, width);
  return cut(bar(progress.bytes_done, progress.bytes_total) + " " + text, width);
}

std::string_view title(cluster::Phase phase) {
  using cluster::Phase;
  switch (phase) {
    case Phase::preparing:
      return "preparing";
    case Phase::restoring:
      return "restoring";
    case Phase::recovering:
      return "recovering";
    case Phase::promoting:
      return "promoting";
    case Phase::configuring:
      return "configuring";
    case Phase::joining:
      return "joining replicas";
    case Phase::reindexing:
      return "reindexing";
    case Phase::running:
      return "running";
    case Phase::stopping:
      return "stopping";
    case Phase::stopped:
      return "stopped";
    case Phase::failed:
      return "failed";
  }
  return "";
}

std::string phase_detail(const cluster::SupervisorStatus& status, const Rates& rates,
                         std::size_t width) {
  using cluster::Phase;
  switch (status.phase) {
    case Phase::restoring:
      return progress_line(status.restore, rates, width);
    case Phase::recovering: {
      std::string text;
      if (status.wal_segments_total > 0) {
        text = fmt::format("{} of {} WAL segments", status.wal_segments_done,
                           status.wal_segments_total);
      } else if (status.wal_segments_done > 0) {
        text = fmt::format("{} WAL segments", status.wal_segments_done);
      }
      if (!status.replay_lsn.empty()) {
        text += fmt::format("{}replayed to {}", text.empty() ? "" : ", ", status.replay_lsn);
      }
      return text + left_text(", ", rates.wal_left_ms);
    }
    case Phase::reindexing: {
      if (!status.reindex) return "";
      std::string text = fmt::format("{} of {} indexes", status.reindex->indexes_done,
                                     status.reindex->indexes_total);
      if (!status.reindex->now.empty()) text += ", now " + printable(status.reindex->now);
      return text;
    }
    case Phase::preparing:
    case Phase::promoting:
    case Phase::configuring:
    case Phase::joining:
    case Phase::running:
    case Phase::stopping:
    case Phase::stopped:
    case Phase::failed:
      return "";
  }
  return "";
}

std::string ProgressView::update(const cluster::SupervisorStatus& status,
                                 std::chrono::milliseconds now) {
  using cluster::Phase;
  std::string out;
  const bool terminal = output_ == Output::terminal;
  const auto line = [&](const std::string& text) {
    // A finished line takes the place of the one that was being redrawn.
    out += terminal && !drawn_.empty() ? "\r\x1b[K" : "";
    drawn_.clear();
    out += text + "\n";
  };
  const auto rates = meter_.look(status, now.count());

  while (notices_told_ < status.notices.size()) {
    line(fmt::format("  warning: {}", status.notices[notices_told_++].text));
  }

  // Each phase that is over gets its closing line, in order.
  for (; phases_told_ < status.phases.size(); ++phases_told_) {
    const cluster::PhaseTime& phase = status.phases[phases_told_];
    if (phase.ended_ms == 0) break;
    if (phase.phase == Phase::running || phase.phase == Phase::stopped ||
        phase.phase == Phase::failed) {
      continue;
    }
    const auto time = std::chrono::milliseconds(phase.ended_ms - phase.began_ms);
    std::string text = fmt::format("  {:<17} {}", title(phase.phase), format_duration(time));
    if (phase.phase == Phase::restoring && status.restore.bytes_total > 0) {
      text += fmt::format(", {} in {} files", format_bytes(status.restore.bytes_total),
                          status.restore.files_total);
      if (const double rate = rates.average_bytes_per_second; rate >= 1)
        text += fmt::format(", {}/s", format_bytes(static_cast<std::uint64_t>(rate)));
    }
    line(text);
    open_.reset();
  }

  if (status.phase == Phase::running || status.phase == Phase::stopped ||
      status.phase == Phase::failed) {
    out += close();
    return out;
  }

  const std::string now_text = phase_detail(status, rates, terminal ? width_ - 15 : 0);
  if (terminal) {
    const std::string text =
        cut(fmt::format("  {:<11} {}", title(status.phase), now_text), width_ - 1);
    if (text != drawn_) {
      out += (drawn_.empty() ? "" : "\r\x1b[K") + text;
      drawn_ = text;
    }
  } else if (open_ != status.phase || now - last_line_ >= 5s) {
    // A phase without numbers says that it goes on, so that silence never looks like a hang.
    const bool again = open_ == status.phase;
    line(!now_text.empty() ? fmt::format("  {}: {}", title(status.phase), now_text)
         : again           ? fmt::format("  still {}", title(status.phase))
                           : fmt::format("  {} ...", title(status.phase)));
    last_line_ = now;
  }
  open_ = status.phase;
  return out;
}

std::string ProgressView::close() {
  if (drawn_.empty()) return "";
  drawn_.clear();
  return "\r\x1b[K";
}

}  // namespace pgrevive::cli
