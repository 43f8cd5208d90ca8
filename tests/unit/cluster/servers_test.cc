#include "cluster/servers.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/identity.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(LinesOfALog, ThatCannotBeReadAreNotNoReason) {
  const test::TempDir directory;
  EXPECT_EQ(last_lines(directory.path()),
            "cannot read " + directory.path().string() + ": Is a directory");
  EXPECT_EQ(why_it_ended(directory.path()), last_lines(directory.path()));
  EXPECT_EQ(last_lines(directory.path() / "none"), "");
}

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

TEST(LinesOfALog, AreToldWithoutPasswordsOfOtherLinesThanTheWord) {
  const test::TempDir directory;
  const auto log = directory.path() / "postgresql.log";
  write_file_atomic(log, "14:05 [1] STATEMENT:  alter role a password\n\t'x'\n\tin role b\n");
  EXPECT_EQ(last_lines(log, 3),
            "14:05 [1] STATEMENT:  alter role a password | \\x09'***' | \\x09in role b");
  EXPECT_EQ(last_lines(log, 2), "\\x09'***' | \\x09in role b");
}

TEST(LinesOfALog, SayWhyItEndedAndNotWhoWasRefusedMeanwhile) {
  const test::TempDir directory;
  const auto log = directory.path() / "postgresql.log";
  write_file_atomic(log,
                    "14:05 [1] FATAL:  directory \"/mnt/late\" does not exist\n"
                    "14:05 [2] a@b FATAL:  the database system is in recovery mode\n");
  EXPECT_EQ(why_it_ended(log), "14:05 [1] FATAL:  directory \"/mnt/late\" does not exist");
}

// A server in its first moments, which may be as long as a crash's files are many: no
// postmaster.pid says yet that it is there.
TEST(Servers, AskOneToStopThatHasNoPidFileYet) {
  using namespace std::chrono_literals;
  const test::TempDir place;
  const auto program = place.path() / "postgres";
  const auto begun = place.path() / "begun";
  write_file_atomic(program, "#!/bin/sh\ntrap 'exit 0' INT\n: >" + begun.string() +
                                 "\nwhile :; do sleep 0.05; done\n");
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  postgres::ServerOptions options{.binaries = place.path(),
                                  .data_directory = place.path(),
                                  .config_file = place.path() / "postgresql.conf",
                                  .log = place.path() / "log"};
  if (::geteuid() == 0) {
    options.identity = Identity::find("nobody");
    ASSERT_TRUE(options.identity);
    ASSERT_EQ(::chown(place.path().c_str(), options.identity->uid, options.identity->gid), 0);
  }
  StatusBoard board(StateDirectory(place.path()), {});
  Servers servers(board);
  const auto within = [](const auto& done) {
    for (int i = 0; i < 200 && !done(); ++i) std::this_thread::sleep_for(50ms);
    return done();
  };
  servers.start("primary", options, 5432);
  ASSERT_TRUE(within([&] { return std::filesystem::exists(begun); }));
  EXPECT_TRUE(servers.wanted("primary"));

  servers.ask_to_stop("primary", postgres::ShutdownMode::fast);

  EXPECT_TRUE(within([&] { return !servers.running("primary"); }));
  EXPECT_FALSE(servers.wanted("primary"));
  EXPECT_FALSE(servers.wanted("replica"));
}

}  // namespace
}  // namespace pgrevive::cluster
