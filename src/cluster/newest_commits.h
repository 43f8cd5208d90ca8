#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "repository/info_report.h"

// Until when the WAL of an archive reaches, which only the WAL itself tells.
namespace pgrevive::cluster {

// The last commit in a segment, as repository::ReportOptions wants to know it.
std::optional<std::int64_t> newest_commit(const repository::WalArchive& archive,
                                          const repository::ArchivedSegment& segment);

// The same for who reads a repository again and again: what was read once is not read again. Used
// by one thread at a time.
class NewestCommits {
 public:
  std::optional<std::int64_t> operator()(const repository::WalArchive& archive,
                                         const repository::ArchivedSegment& segment);

 private:
  std::map<std::string, std::optional<std::int64_t>> known_;  // by object
};

// Lets each line reach as far as the newest commit of its timeline is a moment to recover to, where
// no gap lies before that. `report` was made with newest_commit and recovery_points. Pure.
void reach_newest_commits(repository::StanzaReport& report);

}  // namespace pgrevive::cluster
