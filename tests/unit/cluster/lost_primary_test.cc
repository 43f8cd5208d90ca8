#include "cluster/lost_primary.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/marker.h"
#include "cluster/node_record.h"
#include "cluster/preflight.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class LostPrimary : public testing::Test {
 protected:
  void make(const std::string& node, const NodeRecord& record) {
    make_directories(directory_.data(node) / "global");
    write_file_atomic(directory_.data(node) / "PG_VERSION", "15\n");
    write_file_atomic(directory_.data(node) / "global/pg_control", "x");
    record.save(directory_, node);
  }

  test::TempDir temporary_;
  StateDirectory directory_{temporary_.path()};
};

TEST_F(LostPrimary, IsNoMatterWhereNothingIsYet) { refuse_lost_primary(directory_); }

TEST_F(LostPrimary, IsNoMatterWhereItIsThere) {
  make("primary", {.backup_label = "20240115-020000F", .promoted = true});
  make("replica", {.backup_label = "20240115-020000F", .joined = true});
  refuse_lost_primary(directory_);
}

TEST_F(LostPrimary, IsNoMatterWhereReplicasHaveWhatTheBackupHas) {
  make("replica", {.backup_label = "20240115-020000F"});
  make("replica-2", {.unfinished = true});
  refuse_lost_primary(directory_);
}

TEST_F(LostPrimary, IsNoMatterBeforeItWasOpened) {
  make_marker("a", directory_, find_owner(), 1000).save(directory_);
  make("replica", {.backup_label = "20240115-020000F"});
  refuse_lost_primary(directory_);
}

TEST_F(LostPrimary, IsNotReplacedOnceItWasOpened) {
  make_marker("a", directory_, find_owner(), 1000).save(directory_);
  note_opened(directory_);
  const auto opened = load_marker(directory_).opened_ms;
  EXPECT_GT(opened, 1000);
  note_opened(directory_);
  EXPECT_EQ(load_marker(directory_).opened_ms, opened);
  EXPECT_THAT([&] { refuse_lost_primary(directory_); },
              ThrowsMessage<Error>(HasSubstr("is gone, and with it what was written")));
  make("primary", {.backup_label = "20240115-020000F", .promoted = true});
  refuse_lost_primary(directory_);
}

struct Holding {
  const char* name;
  NodeRecord record;
};

class AReplicaThatHoldsMore : public LostPrimary, public testing::WithParamInterface<Holding> {};

TEST_P(AReplicaThatHoldsMore, IsNotBuiltOver) {
  make("replica", {.backup_label = "20240115-020000F"});
  make("replica-4", GetParam().record);
  EXPECT_THAT([&] { refuse_lost_primary(directory_); },
              ThrowsMessage<Error>(HasSubstr("replica-4 still holds what the cluster wrote")));
  // Of an empty one that initdb did not come to the end of, too.
  make("primary", {.unfinished = true});
  EXPECT_THROW(refuse_lost_primary(directory_), Error);
  make("primary", {});
  refuse_lost_primary(directory_);
}

INSTANTIATE_TEST_SUITE_P(
    Each, AReplicaThatHoldsMore,
    testing::Values(Holding{"joined", {.backup_label = "20240115-020000F", .joined = true}},
                    Holding{"copied", {}},
                    Holding{"given_away", {.unfinished = true, .joined = true}},
                    Holding{"from_the_own_archive",
                            {.backup_label = "20240115-020000F", .after_promotion = true}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::cluster
