#include "cluster/newest_commits.h"

#include <algorithm>

#include "wal/transaction_times.h"

namespace pgrevive::cluster {
namespace {

constexpr std::size_t kMostKnown = 256;

}  // namespace

std::optional<std::int64_t> newest_commit(const repository::WalArchive& archive,
                                          const repository::ArchivedSegment& segment) {
  wal::TransactionTimes times;
  archive.read_segment(segment, times);
  return times.times() ? times.times()->last_commit : std::nullopt;
}

std::optional<std::int64_t> NewestCommits::operator()(const repository::WalArchive& archive,
                                                      const repository::ArchivedSegment& segment) {
  if (const auto known = known_.find(segment.object); known != known_.end()) return known->second;
  const auto found = newest_commit(archive, segment);
  if (known_.size() >= kMostKnown) known_.clear();
  known_[segment.object] = found;
  return found;
}

void reach_newest_commits(repository::StanzaReport& report) {
  for (auto& database : report.databases) {
    for (auto& backup : database.backups) {
      if (!backup.recovery) continue;
      for (auto& line : backup.recovery->lines) {
        const auto end = std::ranges::find(database.timelines, line.last_segment,
                                           &repository::ReportedTimeline::last_segment);
        if (end == database.timelines.end() || !end->newest_commit) continue;
        // A moment is reached where a transaction ended behind it.
        line.reaches_time = std::max(line.reaches_time, (*end->newest_commit - 1) / 1'000'000);
      }
    }
  }
}

}  // namespace pgrevive::cluster
