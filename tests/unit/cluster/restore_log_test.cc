#include "cluster/restore_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(RestoreLog, HoldsEveryRetryInEachNodesLog) {
  test::TempDir root;
  const StateDirectory directory(root.path());
  for (const auto* node : {"primary", "replica"}) make_directories(directory.logs(node));
  make_directories(directory.run());
  StatusBoard board(directory, {});
  RestoreLog log(board, directory, {"primary", "replica"}, "main");

  log.retry("reading s3://bucket/file: 503; trying again in 100 ms (attempt 2 of 6)");

  for (const auto* node : {"primary", "replica"})
    EXPECT_THAT(read_file(directory.logs(node) / "main-restore.log"),
                testing::ContainsRegex(" WARN: reading s3://bucket/file: 503; trying again"));
}

}  // namespace
}  // namespace pgrevive::cluster
