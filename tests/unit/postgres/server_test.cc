#include "postgres/server.h"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/real_server.h"
#include "support/throws.h"

namespace pgrevive::postgres {
namespace {

using test::throws;
using namespace std::chrono_literals;

class DataDirectory : public testing::Test {
 protected:
  void write_pid_file(const std::string& text) {
    std::ofstream(directory_ / "postmaster.pid") << text;
  }
  void write_pid_file(pid_t pid) {
    write_pid_file(std::to_string(pid) + "\n" + directory_.path().string() +
                   "\n1763800000\n5433\n/run/postgresql\n\n  5433001   1\nready   \n");
  }

  test::TempDir directory_;
};

TEST_F(DataDirectory, HasThePidFileOfItsServer) {
  write_pid_file("123\n/srv/data\n1763800000\n5433\n/run/postgresql\n*\n  5433001   1\nstandby \n");

  const auto file = read_postmaster_pid(directory_.path());

  ASSERT_TRUE(file);
  EXPECT_EQ(file->pid, 123);
  EXPECT_EQ(file->data_directory, "/srv/data");
  EXPECT_EQ(file->start_time, 1763800000);
  EXPECT_EQ(file->port, 5433);
  EXPECT_EQ(file->socket_directory, "/run/postgresql");
  EXPECT_EQ(file->status, "standby");
}

TEST_F(DataDirectory, HasAShorterPidFileWhileItsServerStarts) {
  write_pid_file("123\n/srv/data\n1763800000\n5433\n\n");

  const auto file = read_postmaster_pid(directory_.path());

  ASSERT_TRUE(file);
  EXPECT_EQ(file->pid, 123);
  EXPECT_EQ(file->status, "");
}

TEST_F(DataDirectory, HasThePidFileOfASingleUserServer) {
  write_pid_file("-123\n/srv/data\n1763800000\n5433\n\n");
  EXPECT_EQ(read_postmaster_pid(directory_.path())->pid, 123);
}

TEST_F(DataDirectory, HasNoServerWhereThePidFileIsNotWhole) {
  EXPECT_FALSE(read_postmaster_pid(directory_.path()));
  EXPECT_FALSE(read_postmaster_pid(directory_ / "none"));
  for (const char* text : {"", "123", "123\n/srv/data\n1763800000\n", "x\n/srv\n1\n5433\n\n",
                           "0\n/srv\n1\n5433\n\n", "123\n/srv\n1\n70000\n\n"}) {
    write_pid_file(text);
    EXPECT_FALSE(read_postmaster_pid(directory_.path())) << text;
    EXPECT_FALSE(is_running(directory_.path())) << text;
  }
}

TEST_F(DataDirectory, IsNotRunningWhenItsPidBelongsToSomethingElse) {
  write_pid_file(::getpid());  // alive, and no postgres

  EXPECT_FALSE(is_running(directory_.path()));
  EXPECT_TRUE(stop_server(directory_.path(), ShutdownMode::fast, 0ms));
  EXPECT_THAT([&] { reload_server(directory_.path()); },
              throws(ErrorKind::postgres, "no PostgreSQL server runs"));
}

// A shell that is called postgres and does what the test says, in place of a server.
class FakePostgres {
 public:
  FakePostgres(const std::filesystem::path& program, const std::filesystem::path& working_directory,
               const std::string& script)
      : process_(start(program, working_directory, script)) {}
  pid_t pid() const { return process_.pid(); }

 private:
  static ChildProcess start(const std::filesystem::path& program,
                            const std::filesystem::path& working_directory,
                            const std::string& script) {
    std::filesystem::copy_file("/bin/sh", program / "postgres",
                               std::filesystem::copy_options::skip_existing);
    Command command;
    command.program = program / "postgres";
    command.arguments = {"-c", script};
    command.directory = working_directory;
    return ChildProcess::start(command);
  }
  ChildProcess process_;
};

TEST_F(DataDirectory, IsNotRunningWhenItsPidIsAServerOfAnotherDirectory) {
  const test::TempDir other;
  const FakePostgres server(other.path(), other.path(), "while :; do sleep 1; done");
  write_pid_file(server.pid());

  EXPECT_FALSE(is_running(directory_.path()));
}

TEST_F(DataDirectory, KeepsRunningWhenItsServerIgnoresTheRequestToStop) {
  const test::TempDir programs;
  const FakePostgres server(programs.path(), directory_.path(),
                            "trap '' INT; touch ready; while :; do sleep 1; done");
  write_pid_file(server.pid());
  ASSERT_TRUE(test::wait_until([&] { return std::filesystem::exists(directory_ / "ready"); }));

  EXPECT_TRUE(is_running(directory_.path()));
  EXPECT_FALSE(stop_server(directory_.path(), ShutdownMode::fast, 100ms));
  EXPECT_TRUE(is_running(directory_.path()));
}

TEST(Server, DoesNotStartAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can try";
  EXPECT_THAT([] { start_server({}); }, throws(ErrorKind::usage, "does not run as root"));
}

TEST(Server, StartsReloadsAndStopsInEachWay) {
  test::RealServer server;
  const auto& data = server.data_directory();
  EXPECT_FALSE(is_running(data));
  // What this process was started with must not reach the server.
  ASSERT_EQ(::setenv("PGPORT", "1", 1), 0);
  ASSERT_EQ(::setenv("PGDATA", "/nowhere", 1), 0);

  for (const auto mode : {ShutdownMode::smart, ShutdownMode::fast, ShutdownMode::immediate}) {
    server.start();
    EXPECT_TRUE(is_running(data));
    const auto file = read_postmaster_pid(data);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->pid, server.process().pid());
    EXPECT_EQ(file->port, 5432);
    EXPECT_EQ(file->socket_directory, server.directory());
    EXPECT_TRUE(test::wait_until([&] { return read_postmaster_pid(data)->status == "ready"; }));
    EXPECT_EQ(::getsid(file->pid), file->pid) << "a session of its own";
    const auto work_mem = [&] {
      return *Connection::open(server.connection()).value("SHOW work_mem");
    };
    const auto other = work_mem() == "1MB" ? "2MB" : "1MB";
    server.configure(std::string("work_mem = ") + other);
    reload_server(data);
    EXPECT_TRUE(test::wait_until([&] { return work_mem() == other; }));

    EXPECT_TRUE(stop_server(data, mode, test::RealServer::kLimit)) << server.log();

    EXPECT_FALSE(is_running(data)) << "though it is a zombie until its owner asks for its status";
    EXPECT_TRUE(server.process().wait().ok()) << server.log();
    EXPECT_TRUE(stop_server(data, mode, 0ms)) << "stopping twice is fine";
  }
}

TEST(Server, IsNotRunningOnceItWasKilled) {
  test::RealServer server;
  const auto& data = server.data_directory();
  server.start();
  server.process().send(SIGKILL);
  server.process().wait();

  EXPECT_TRUE(read_postmaster_pid(data)) << "the pid file stays behind";
  EXPECT_FALSE(is_running(data));
  EXPECT_TRUE(stop_server(data, ShutdownMode::fast, 0ms));

  // Its children notice within moments; then the directory can be used again.
  EXPECT_TRUE(test::wait_until([&] {
    try {
      server.start();
      return true;
    } catch (const Error&) {
      return false;
    }
  })) << server.log();
}

}  // namespace
}  // namespace pgrevive::postgres
