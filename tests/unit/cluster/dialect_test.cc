#include "cluster/dialect.h"

#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

TEST(Dialect, LeavesStatementsAloneFromTenOn) {
  EXPECT_EQ(in_words_of(100000, "select pg_current_wal_lsn()"), "select pg_current_wal_lsn()");
}

TEST(Dialect, UsesTheOldNamesBefore) {
  EXPECT_EQ(in_words_of(90600, "select pg_walfile_name(pg_current_wal_lsn()), replay_lsn"),
            "select pg_xlogfile_name(pg_current_xlog_location()), replay_location");
}

}  // namespace
}  // namespace pgrevive::cluster
