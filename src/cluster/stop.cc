#include <algorithm>
#include <csignal>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"
#include "cluster/adminer.h"
#include "cluster/cluster.h"
#include "cluster/console_process.h"
#include "cluster/marker.h"
#include "cluster/supervisor_process.h"
#include "postgres/server.h"

namespace pgrevive::cluster {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds left(Clock::time_point end) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
}

bool stop_supervisor(const StateDirectory& directory, Clock::time_point end) {
  pid_t told = 0;
  for (;;) {
    const auto holder = find_supervisor(directory);
    if (holder && *holder > 0 && *holder != told) {
      told = *holder;
      ::kill(told, SIGTERM);
    }
    // It gives its lock back a moment before it is gone.
    const auto ending = holder ? told : last_supervisor(directory).value_or(told);
    const bool ended = ending == 0 || wait_for_end(ending, left(end));
    if (!holder && ended) return told != 0;
    if (!ended || Clock::now() >= end)
      throw Error(ErrorKind::busy, "the supervisor (pid " + std::to_string(ending) +
                                       ") is still stopping its servers")
          .with_hint("its log is " + directory.supervisor_log().string());
    if (holder) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

bool stop(const StateDirectory& directory, std::chrono::milliseconds limit, ConsoleFate console) {
  load_marker(directory);
  const auto end = Clock::now() + limit;
  bool ran = stop_supervisor(directory, end);
  // What a supervisor that was killed left behind.
  ran = stop_orphaned_adminer(directory) || ran;
  if (console == ConsoleFate::ends) stop_side_process(console_program(directory));
  for (const auto& node : existing_nodes(directory)) {
    if (!server_is_ours(directory, node)) continue;
    ran = true;
    if (!postgres::stop_server(directory.data(node), postgres::ShutdownMode::fast, left(end)))
      throw Error(ErrorKind::busy, "the server of " + node + " is still stopping")
          .with_hint("its log is " + (directory.logs(node) / "postgresql.log").string());
  }
  return ran;
}

}  // namespace pgrevive::cluster
