#include "cluster/first_backup.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

TEST(OwnBackup, IsTheLastThatPgbackrestTellsOf) {
  EXPECT_EQ(newest_backup_in("[]"), "");
  EXPECT_EQ(newest_backup_in(R"([{"backup":[],"name":"main"}])"), "");
  EXPECT_EQ(newest_backup_in("P00   WARN: something\n"
                             R"([{"backup":[{"label":"20240115-020000F"},)"
                             R"({"label":"20240115-020000F_20240116-020000I"}]}])"
                             "\n"),
            "20240115-020000F_20240116-020000I");
}

TEST(OwnBackup, IsNotKnownWhereThatIsSomethingElse) {
  EXPECT_THROW(newest_backup_in(""), Error);
  EXPECT_THROW(newest_backup_in("ERROR: [055]"), Error);
  EXPECT_THROW(newest_backup_in(R"([{"backup":[],"status":{"code":99,"message":"other"}}])"),
               Error);
  EXPECT_EQ(newest_backup_in(R"([{"backup":[],"status":{"code":2,"message":"no valid backups"}}])"),
            "");
  EXPECT_THROW(newest_backup_in(R"([{"backup":[{}]}])"), Error);
}

}  // namespace
}  // namespace pgrevive::cluster
