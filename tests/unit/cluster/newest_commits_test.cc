#include "cluster/newest_commits.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Timeline;

TEST(NewestCommits, AreReachedByLinesThatHaveAllWalUpToThem) {
  const std::string first = "000000010000000000000009", second = "000000020000000000000012";
  repository::RecoveryPoints points{.from = 100};
  points.lines = {
      {.timeline = Timeline(1), .last_segment = first, .reaches_time = 100},
      {.timeline = Timeline(2), .last_segment = "000000020000000000000011", .reaches_time = 150}};
  repository::ReportedDatabase database;
  database.backups.push_back(
      {.backup = {.label = repository::BackupLabel::parse("20240101-000000F")},
       .recovery = points});
  database.timelines = {
      {.timeline = Timeline(1), .last_segment = first, .newest_commit = 200'000'000},
      {.timeline = Timeline(2), .last_segment = second, .newest_commit = 300'500'000}};
  repository::StanzaReport report;
  report.databases.push_back(database);

  reach_newest_commits(report);

  const auto& lines = report.databases[0].backups[0].recovery->lines;
  EXPECT_EQ(lines[0].reaches_time, 199);  // nothing ends behind the 200th second
  EXPECT_EQ(lines[1].reaches_time, 150);  // a gap lies before
}

}  // namespace
}  // namespace pgrevive::cluster
