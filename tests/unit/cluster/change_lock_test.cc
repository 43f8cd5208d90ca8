#include "cluster/change_lock.h"

#include <csignal>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/cleanup.h"
#include "cluster/marker.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

namespace fs = std::filesystem;

// Another process that has the lock.
class Holder {
 public:
  Holder(const StateDirectory& directory, const std::string& what) {
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto held = ChangeLock::take(directory, what);
      if (::write(ready[1], "x", 1) == 1) ::pause();
      ::_exit(1);
    }
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) throw std::runtime_error("the lock was not taken");
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = 0;
};

class ChangeLockTest : public testing::Test {
 protected:
  ChangeLockTest() {
    fs::create_directories(directory_.data("primary"));
    Marker{.cluster_name = "a", .owner = ::geteuid(), .socket_directory = directory_.run()}.save(
        directory_);
  }

  test::TempDir root_;
  StateDirectory directory_{root_ / "state"};
};

TEST_F(ChangeLockTest, RefusesASecondActAndNamesTheFirst) {
  const Holder other(directory_, kStartAnew);
  EXPECT_THAT([&] { ChangeLock::take(directory_, kCleanup); },
              test::throws(ErrorKind::busy, "`start --anew`, pid " + other.pid()));
  EXPECT_THAT([&] { refuse_while_thrown_away(directory_); },
              test::throws(ErrorKind::busy, other.pid()));
  EXPECT_THAT([&] { cleanup(directory_); }, test::throws(ErrorKind::busy, other.pid()));
  EXPECT_TRUE(fs::exists(directory_.data("primary")));
}

TEST_F(ChangeLockTest, LetsOthersLookWhileAClusterIsStarted) {
  const Holder other(directory_, kStart);
  EXPECT_NO_THROW(refuse_while_thrown_away(directory_));
}

TEST_F(ChangeLockTest, EndsWithItsProcess) {
  { const Holder other(directory_, kCleanup); }
  EXPECT_NO_THROW(refuse_while_thrown_away(directory_));
  EXPECT_NO_THROW(ChangeLock::take(directory_, kStart));
}

}  // namespace
}  // namespace pgrevive::cluster
