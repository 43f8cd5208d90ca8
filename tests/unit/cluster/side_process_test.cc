#include "cluster/side_process.h"

#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

using namespace std::chrono_literals;

// Says in `ready` that it hears no SIGTERM any more.
Command deaf(const std::filesystem::path& ready) {
  return {.program = "sh",
          .arguments = {"-c", "trap '' TERM; : > \"$1\"; while :; do sleep 1; done", "sh",
                        ready.string()}};
}

bool runs(const std::string& mark) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    try {
      const auto words = read_file_if_exists(entry.path() / "cmdline");
      if (words && words->find(mark) != std::string::npos) return true;
    } catch (const Error&) {
      // It ended while we looked, or is no process.
    }
  }
  return false;
}

TEST(RestartDelay, GrowsToFiveMinutes) {
  EXPECT_EQ(restart_delay(1), 5s);
  EXPECT_EQ(restart_delay(2), 10s);
  EXPECT_EQ(restart_delay(5), 80s);
  EXPECT_EQ(restart_delay(7), 300s);
  EXPECT_EQ(restart_delay(1'000'000), 300s);
}

TEST(SideProcess, LeavesNoneRunningThatNobodyWouldFind) {
  const test::TempDir place;
  const auto mark = (place.path() / "mark").string();
  StatusBoard board(StateDirectory(place.path()), {});
  SideProcess process(
      board, {.name = "a program", .pid_file = place.path() / "missing" / "a.pid", .mark = mark});

  process.start(deaf(mark));

  EXPECT_FALSE(runs(mark));
  EXPECT_EQ(board.status().notices.size(), 1u);
}

TEST(StopSideProcess, KillsOneThatDoesNotObey) {
  const test::TempDir place;
  const auto ready = place.path() / "ready";
  const SideProgram program{
      .name = "a program", .pid_file = place.path() / "a.pid", .mark = ready.string()};
  auto child = ChildProcess::start(deaf(ready));
  write_file_atomic(program.pid_file, std::to_string(child.pid()));
  while (!std::filesystem::exists(ready)) std::this_thread::sleep_for(1ms);

  EXPECT_TRUE(stop_side_process(program, 100ms));

  const auto end = child.wait_for(5s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->signal, SIGKILL);
  EXPECT_FALSE(stop_side_process(program));
}

}  // namespace
}  // namespace pgrevive::cluster
