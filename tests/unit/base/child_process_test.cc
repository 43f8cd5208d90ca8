#include "base/child_process.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/text.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using test::TempDir;
using test::throws;
using testing::HasSubstr;

Command shell(const std::string& script) { return {.program = "sh", .arguments = {"-c", script}}; }

// False within ten seconds at most once the process is gone and reaped, or is a zombie.
bool ends(pid_t pid) {
  for (int i = 0; i < 1000; ++i) {
    const auto status = read_file_if_exists("/proc/" + std::to_string(pid) + "/stat");
    if (!status || status->find(") Z ") != std::string::npos) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

TEST(ExitStatus, SaysHowItEnded) {
  EXPECT_EQ(ExitStatus{.code = 1}.text(), "exit code 1");
  EXPECT_EQ(ExitStatus{.signal = SIGKILL}.text(), "signal 9 (Killed)");
  EXPECT_TRUE(ExitStatus{.code = 0}.ok());
  EXPECT_FALSE(ExitStatus{.code = 3}.ok());
  EXPECT_FALSE(ExitStatus{.signal = SIGTERM}.ok());
}

TEST(ChildProcess, GivesItsExitCode) {
  EXPECT_EQ(ChildProcess::start(shell("exit 7")).wait().code, 7);
  EXPECT_TRUE(ChildProcess::start({.program = "/bin/true"}).wait().ok());
}

TEST(ChildProcess, GivesTheSignalThatEndedIt) {
  auto child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});
  EXPECT_EQ(child.wait_for(milliseconds(0)), std::nullopt);

  child.send(SIGTERM);
  const ExitStatus status = child.wait();

  EXPECT_EQ(status.signal, SIGTERM);
  EXPECT_EQ(status.code, std::nullopt);
  EXPECT_EQ(child.pid(), -1);
  child.send(SIGTERM);  // to nobody
  EXPECT_EQ(child.wait().signal, SIGTERM);
}

TEST(ChildProcess, ThatHasEndedIsNotAliveEvenBeforeItIsReaped) {
  auto child = ChildProcess::start(shell("sleep 60"));
  EXPECT_TRUE(is_alive(child.pid()));

  ::kill(child.pid(), SIGKILL);
  siginfo_t ended{};
  // Sees the end and leaves the zombie.
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid()), &ended, WEXITED | WNOWAIT), 0);

  EXPECT_FALSE(is_alive(child.pid()));
}

TEST(ChildProcess, IsWaitedForByItsNumberUntilItHasEnded) {
  // Without a shell, which may leave a `sleep` of its own behind, with our standard output.
  auto child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});
  const auto pid = child.pid();

  EXPECT_FALSE(wait_for_end(pid, milliseconds(20)));
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(wait_for_end(pid, seconds(20)));
  EXPECT_FALSE(is_alive(pid));

  child.wait();
  EXPECT_TRUE(wait_for_end(pid, seconds(20)));
}

TEST(ChildProcess, WaitsNoLongerThanToldAndNoLongerThanNeeded) {
  auto child = ChildProcess::start({.program = "sleep", .arguments = {"0.2"}});
  const auto begin = steady_clock::now();

  EXPECT_FALSE(child.wait_for(milliseconds(20)));
  const auto first = steady_clock::now() - begin;
  const auto status = child.wait_for(milliseconds::max());
  const auto second = steady_clock::now() - begin;

  EXPECT_GE(first, milliseconds(20));
  EXPECT_TRUE(status && status->ok());
  EXPECT_GE(second, milliseconds(150));
  EXPECT_LT(second, seconds(20));
}

TEST(ChildProcess, ReportsAMissingProgram) {
  EXPECT_THAT([] { ChildProcess::start({.program = "no-such-program-here"}); },
              throws(ErrorKind::not_found, "no-such-program-here"));
  EXPECT_THAT([] { ChildProcess::start({.program = "/no/such/program"}); },
              throws(ErrorKind::not_found, "/no/such/program"));
}

TEST(ChildProcess, ReportsAProgramThatCannotBeExecuted) {
  TempDir directory;
  write_file_atomic(directory / "text", "hello", 0644);
  write_file_atomic(directory / "script", "#!/no/such/interpreter\n", 0755);

  EXPECT_THAT([&] { ChildProcess::start({.program = directory / "text"}); },
              throws(ErrorKind::denied, (directory / "text").string()));
  EXPECT_THAT([&] { ChildProcess::start({.program = directory / "script"}); },
              throws(ErrorKind::not_found, "interpreter is missing"));
  EXPECT_THAT([&] { ChildProcess::start({.program = "true", .directory = directory / "none"}); },
              throws(ErrorKind::not_found, (directory / "none").string()));
}

TEST(ChildProcess, TakesItsGroupWithItWhenTheOwnerGoes) {
  TempDir directory;
  pid_t child = 0;
  pid_t grandchild = 0;
  {
    const auto process = ChildProcess::start(
        shell("sleep 60 & echo $! > " + (directory / "pid.tmp").string() + "; mv " +
              (directory / "pid.tmp").string() + " " + (directory / "pid").string() + "; wait"));
    child = process.pid();
    for (int i = 0; i < 1000 && grandchild == 0; ++i) {
      const auto text = read_file_if_exists(directory / "pid");
      if (text) grandchild = static_cast<pid_t>(*parse_unsigned(trim(*text)));
      std::this_thread::sleep_for(milliseconds(10));
    }
    ASSERT_GT(grandchild, 0);
    ASSERT_EQ(::kill(grandchild, 0), 0);
  }
  EXPECT_NE(::kill(child, 0), 0);  // reaped
  EXPECT_TRUE(ends(grandchild));
}

TEST(ChildProcess, LivesOnWhenReleased) {
  pid_t pid = 0;
  {
    auto child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});
    pid = child.release();
    EXPECT_EQ(child.pid(), -1);
  }
  ASSERT_GT(pid, 0);
  EXPECT_EQ(::kill(pid, 0), 0);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST(ChildProcess, KillsTheOneItHadWhenItIsGivenAnother) {
  auto child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});
  const pid_t first = child.pid();

  child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});

  EXPECT_NE(::kill(first, 0), 0);
  EXPECT_EQ(::kill(child.pid(), 0), 0);
}

TEST(ChildProcess, AppendsItsOutputToTheLog) {
  TempDir directory;
  for (const char* script : {"echo one", "echo two >&2"}) {
    Command command = shell(script);
    command.log = directory / "log";
    EXPECT_TRUE(ChildProcess::start(command).wait().ok());
  }
  EXPECT_EQ(read_file(directory / "log"), "one\ntwo\n");
}

TEST(ChildProcess, DoesNotFollowALinkToItsLog) {
  TempDir directory;
  std::filesystem::create_symlink("victim", directory / "log");
  Command command = shell("echo text");
  command.log = directory / "log";

  EXPECT_THAT([&] { ChildProcess::start(command); }, throws(ErrorKind::system));
  EXPECT_FALSE(std::filesystem::exists(directory / "victim"));
}

TEST(ChildProcess, WritesItsLogAsTheUserItIsRunAs) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  TempDir directory;
  Command command = shell("echo text");
  command.identity = Identity::find("nobody");
  ASSERT_TRUE(command.identity);
  command.log = directory / "log";
  std::filesystem::permissions(directory.path(), std::filesystem::perms::owner_all);
  EXPECT_THAT([&] { ChildProcess::start(command); }, throws(ErrorKind::denied, "its log"));
  EXPECT_FALSE(std::filesystem::exists(directory / "log"));

  ASSERT_EQ(::chown(directory.path().c_str(), command.identity->uid, command.identity->gid), 0);
  EXPECT_TRUE(ChildProcess::start(command).wait().ok());

  struct stat log {};
  ASSERT_EQ(::stat((directory / "log").c_str(), &log), 0);
  EXPECT_EQ(log.st_uid, command.identity->uid);
}

TEST(ChildProcess, WritesNoCoreDumpWhereItIsToldSo) {
  auto command = shell("ulimit -H -c");
  command.without_core = true;
  EXPECT_EQ(run(command).out, "0\n");
  rlimit ours{};
  ASSERT_EQ(::getrlimit(RLIMIT_CORE, &ours), 0);
  if (ours.rlim_max == 0) GTEST_SKIP() << "none are written here anyhow";
  EXPECT_NE(run(shell("ulimit -H -c")).out, "0\n");
}

TEST(ChildProcess, HasItsOwnGroupOrItsOwnSession) {
  auto child = ChildProcess::start({.program = "sleep", .arguments = {"60"}});
  auto detached = ChildProcess::start({.program = "sleep", .arguments = {"60"}, .detach = true});

  EXPECT_EQ(::getpgid(child.pid()), child.pid());
  EXPECT_EQ(::getsid(child.pid()), ::getsid(0));
  EXPECT_EQ(::getpgid(detached.pid()), detached.pid());
  EXPECT_EQ(::getsid(detached.pid()), detached.pid());
}

TEST(Run, KeepsWhatIsPrinted) {
  const Output output = run(shell("echo out; echo err >&2; exit 3"));

  EXPECT_EQ(output.out, "out\n");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_EQ(output.status.code, 3);
}

TEST(Run, PassesArgumentsAsTheyAre) {
  const Output output =
      run({.program = "printf", .arguments = {"[%s]", "a b", "", "$HOME", "*", "\"q'"}});
  EXPECT_EQ(output.out, "[a b][][$HOME][*][\"q']");
}

TEST(Run, StartsInTheDirectory) {
  TempDir directory;
  EXPECT_EQ(run({.program = "pwd", .arguments = {"-P"}, .directory = directory.path()}).out,
            std::filesystem::canonical(directory.path()).string() + "\n");
}

TEST(Run, GivesNothingOfOurEnvironmentButWhatAnyProgramNeeds) {
  ::setenv("S3_SECRET_KEY", "secret", 1);
  ::setenv("PGPASSWORD", "secret", 1);
  ::setenv("LC_PAPER", "C", 1);
  const Command command{.program = "env"};

  const auto lines = run(command).out;

  EXPECT_THAT(lines, HasSubstr("PATH="));
  EXPECT_THAT(lines, HasSubstr("LC_PAPER=C\n"));
  EXPECT_THAT(lines, Not(HasSubstr("secret")));
  ::unsetenv("S3_SECRET_KEY");
  ::unsetenv("PGPASSWORD");
  ::unsetenv("LC_PAPER");
}

TEST(Run, AddsToAndRemovesFromTheEnvironment) {
  ::setenv("LC_PAPER", "C", 1);
  ::setenv("LC_NAME", "C", 1);
  Command command = shell("echo ${LC_PAPER-none} ${LC_NAME-none} $ADDED");
  command.environment = {{"LC_NAME", std::nullopt}, {"ADDED", "a=b c"}};

  EXPECT_EQ(run(command).out, "C none a=b c\n");

  ::unsetenv("LC_PAPER");
  ::unsetenv("LC_NAME");
}

TEST(Run, LooksTheProgramUpInThePathThatTheChildGets) {
  TempDir directory;
  write_file_atomic(directory / "greet", "#!/bin/sh\necho hello\n", 0755);

  EXPECT_EQ(run({.program = "greet", .environment = {{"PATH", directory.path().string()}}}).out,
            "hello\n");
}

TEST(Run, FeedsAndReadsMoreThanAPipeHolds) {
  std::string input;
  for (int i = 0; i < 500'000; ++i) input += std::to_string(i) + "\n";

  const Output output = run({.program = "cat"}, input);

  EXPECT_TRUE(output.status.ok());
  EXPECT_TRUE(output.out == input);
}

TEST(Run, GivesAnEmptyInputOtherwise) { EXPECT_EQ(run({.program = "cat"}).out, ""); }

TEST(Run, SurvivesAProgramThatDoesNotReadItsInput) {
  const Output output = run(shell("exec 0<&-; sleep 0.1; echo done"), std::string(1 << 20, 'x'));
  EXPECT_EQ(output.out, "done\n");
}

TEST(Run, KeepsSixteenMebibytesAtMost) {
  const Output output = run(shell("head -c 20000000 /dev/zero; echo end >&2"));
  EXPECT_EQ(output.out.size(), 16u << 20);
  EXPECT_EQ(output.err, "end\n");
  EXPECT_TRUE(output.status.ok());
}

TEST(Run, KillsWhatTakesTooLong) {
  const auto begin = steady_clock::now();

  EXPECT_THAT([] { run(shell("echo begun; sleep 60; true"), {}, milliseconds(200)); },
              throws(ErrorKind::system, "sh was ended after 0.2 s"));

  EXPECT_LT(steady_clock::now() - begin, seconds(20));
}

TEST(Run, DoesNotWaitForWhatTheProgramLeftBehind) {
  const auto begin = steady_clock::now();

  const Output output = run(shell("sleep 60 & echo $!"));

  EXPECT_LT(steady_clock::now() - begin, seconds(20));
  const auto left = parse_unsigned(trim(output.out));
  ASSERT_TRUE(left);
  EXPECT_EQ(::kill(static_cast<pid_t>(*left), SIGKILL), 0);
}

TEST(Run, PassesNoDescriptorOfOurs) {
  // Without O_CLOEXEC on purpose: what a library opens is out of our hands.
  const Fd leaked(::open("/dev/null", O_RDONLY));
  // ls itself opens one for the directory.
  EXPECT_EQ(run({.program = "ls", .arguments = {"/proc/self/fd"}}).out, "0\n1\n2\n3\n");
}

TEST(Run, StartsWithDefaultSignals) {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGUSR1, &ignore, &before);
  sigset_t blocked;
  sigset_t mask;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask);

  const Output output =
      run({.program = "grep", .arguments = {"-E", "Sig(Blk|Ign)", "/proc/self/status"}});

  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(output.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Run, LeavesOurOwnSignalMaskAlone) {
  sigset_t before;
  sigset_t after;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &before);
  run({.program = "true"}, "input");
  ::pthread_sigmask(SIG_BLOCK, nullptr, &after);
  for (int signal = 1; signal < SIGRTMAX; ++signal) {
    EXPECT_EQ(::sigismember(&before, signal), ::sigismember(&after, signal)) << signal;
  }
}

TEST(Run, WorksFromManyThreadsAtOnce) {
  std::atomic<int> good{0};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&good, thread] {
      for (int i = 0; i < 10; ++i) {
        const std::string text = std::to_string(thread * 100 + i);
        if (run({.program = "cat"}, text).out == text) ++good;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 80);
}

TEST(Identity, IsFoundByName) {
  const auto root = Identity::find("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_EQ(root->home, "/root");
  EXPECT_EQ(Identity::find("no-such-user-here"), std::nullopt);

  const Identity own = Identity::current();
  EXPECT_EQ(own.uid, ::geteuid());
  EXPECT_EQ(own.gid, ::getegid());
  EXPECT_FALSE(own.name.empty());
}

TEST(Identity, IsTakenOnWithItsGroupsAndHome) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto nobody = Identity::find("nobody");
  ASSERT_TRUE(nobody);
  Command command = shell("id -u; id -g; id -G; echo $HOME $USER $LOGNAME; cd /");
  command.identity = nobody;
  command.directory = "/";
  // A group of ours that must not be left over.
  std::vector<gid_t> before(static_cast<std::size_t>(::getgroups(0, nullptr)));
  ::getgroups(static_cast<int>(before.size()), before.data());
  const gid_t extra = 12'345;
  ASSERT_EQ(::setgroups(1, &extra), 0);

  const Output output = run(command);
  ASSERT_EQ(::setgroups(before.size(), before.data()), 0);

  const std::string gid = std::to_string(nobody->gid);
  EXPECT_EQ(output.out, std::to_string(nobody->uid) + "\n" + gid + "\n" + gid + "\n" +
                            nobody->home.string() + " nobody nobody\n");

  command.environment["HOME"] = "/elsewhere";
  EXPECT_THAT(run(command).out, HasSubstr("/elsewhere nobody"));
}

TEST(Identity, DecidesWhichDirectoriesCanBeEntered) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  TempDir directory;  // of root, mode 0700
  Command command = shell("true");
  command.identity = Identity::find("nobody");
  command.directory = directory.path();

  EXPECT_THAT([&] { run(command); }, throws(ErrorKind::denied, directory.path().string()));
}

TEST(Identity, CannotBeTakenOnByOthersThanRoot) {
  if (::geteuid() == 0) GTEST_SKIP() << "this is root";
  Command command = shell("true");
  command.identity = Identity::find("root");

  EXPECT_THAT([&] { run(command); }, throws(ErrorKind::denied, "only root"));
}

TEST(Identity, OfOurselvesNeedsNoRights) {
  Command command = shell("id -u");
  command.identity = Identity::current();
  EXPECT_EQ(run(command).out, std::to_string(::geteuid()) + "\n");
}

// What a first process of a container is: the one whom orphans fall to.
class Orphans : public testing::Test {
 protected:
  Orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Orphans() override { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }

  // A process that has ended, and whose parent went before it.
  static pid_t make_orphan() {
    const auto pid =
        parse_unsigned(trim(run(shell("(sleep 0.05; exit 0) >&- 2>&- & echo $!")).out));
    EXPECT_TRUE(pid && ends(static_cast<pid_t>(*pid)));
    return static_cast<pid_t>(pid.value_or(0));
  }
  static bool is_buried(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }
};

TEST_F(Orphans, AreBuried) {
  const pid_t first = make_orphan();
  const pid_t second = make_orphan();
  ASSERT_FALSE(is_buried(first));

  reap_orphans();

  EXPECT_TRUE(is_buried(first));
  EXPECT_TRUE(is_buried(second));
}

TEST_F(Orphans, AreNotTheChildrenThatSomebodyWaitsFor) {
  auto child = ChildProcess::start(shell("exit 3"));
  ASSERT_TRUE(ends(child.pid()));
  auto released = ChildProcess::start(shell("exit 4"));
  ASSERT_TRUE(ends(released.pid()));
  const pid_t kept = released.release();

  reap_orphans();

  EXPECT_EQ(child.wait().code, 3);
  int status = 0;
  EXPECT_EQ(wait_for_child(kept, &status, WNOHANG), kept);
  EXPECT_EQ(WEXITSTATUS(status), 4);
  // Behind them an orphan has its turn.
  const pid_t orphan = make_orphan();
  reap_orphans();
  EXPECT_TRUE(is_buried(orphan));
}

TEST(FindProgram, LooksInThePath) {
  const auto shell_path = find_program("sh");
  ASSERT_TRUE(shell_path);
  EXPECT_TRUE(shell_path->is_absolute());
  EXPECT_EQ(find_program("no-such-program-here"), std::nullopt);
}

}  // namespace
}  // namespace pgrevive
