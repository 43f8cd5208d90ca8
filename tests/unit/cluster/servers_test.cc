#include "cluster/servers.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(LinesOfALog, AreToldWithoutPasswords) {
  const test::TempDir directory;
  const auto log = directory.path() / "postgresql.log";
  write_file_atomic(log,
                    "14:05 [1] FATAL:  invalid connection option \"password\": \"x\"\n"
                    "14:05 [1] HINT:  not password='x'\n"
                    "14:05 [1] STATEMENT:  alter role a password $t$x$t$\n");
  EXPECT_EQ(last_lines(log, 1), "14:05 [1] STATEMENT:  alter role a password $t$***$t$");
  EXPECT_EQ(why_it_ended(log),
            "14:05 [1] FATAL:  invalid connection option \"password\": \"***\" | "
            "14:05 [1] HINT:  not password='***'");
}

}  // namespace
}  // namespace pgrevive::cluster
