#include "cluster/prefetch.h"

#include <fstream>

#include <gtest/gtest.h>

#include "base/file.h"
#include "spool/spool.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

class PrefetchTest : public testing::Test {
 protected:
  PrefetchTest() {
    make_directories(directory_.run());
    make_directories(directory_.root() / "logs");
    for (const auto* node : {"primary", "replica"}) leave_spool(node);
  }
  std::filesystem::path spool(const std::string& node) const {
    return directory_.data(node) / "pg_wal" / spool::kDirectory;
  }
  // As a prefetcher that was killed does.
  void leave_spool(const std::string& node) const {
    make_directories(spool(node) / "0123456789abcdef");
    std::ofstream(spool(node) / "0123456789abcdef" / "000000010000000000000005") << "old";
    std::ofstream(spool(node) / spool::kLock);
  }
  bool none_left() const {
    return !std::filesystem::exists(spool("primary")) && !std::filesystem::exists(spool("replica"));
  }

  test::TempDir root_;
  StateDirectory directory_{root_.path()};
  Settings settings_;
  StatusBoard board_{directory_, {}};
};

TEST_F(PrefetchTest, TheEndLeavesNothingInAnyNode) {
  Prefetch prefetch(settings_, directory_, board_);

  prefetch.stop();

  EXPECT_TRUE(none_left());
  EXPECT_TRUE(std::filesystem::exists(directory_.data("replica") / "pg_wal"));
}

TEST_F(PrefetchTest, TheBeginningTakesAwayWhatOneBeforeHasLeft) {
  // A server that starts next must find nothing in it, prefetcher or not.
  Prefetch prefetch(settings_, directory_, board_);

  prefetch.start();

  EXPECT_TRUE(none_left());
}

}  // namespace
}  // namespace pgrevive::cluster
