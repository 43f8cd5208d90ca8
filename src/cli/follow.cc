#include "cli/follow.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/collations_text.h"
#include "cli/front_door.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/progress_view.h"
#include "cli/restore_command.h"
#include "cli/running_report.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cluster/reindex.h"
#include "cluster/silent_end.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;
using cluster::Phase;

void print(const std::string& text) { write_to(stdout, text); }

// The failure of another process as our own Error: what it wrote is complete already.
Error failure_of(const cluster::SupervisorStatus& status) {
  const bool known = status.exit_code >= static_cast<int>(ErrorKind::internal) &&
                     status.exit_code <= static_cast<int>(ErrorKind::cancelled);
  Error error(known ? static_cast<ErrorKind>(status.exit_code) : ErrorKind::internal,
              status.error.empty() ? "the cluster could not be brought up" : status.error);
  if (status.error.find("hint:") == std::string::npos) {
    error.with_hint(fmt::format("`{} logs` has the details", front_door()));
  }
  return error;
}

std::string collations_of(const cluster::Settings& settings,
                          const cluster::StateDirectory& directory) {
  const auto findings = cluster::CollationFindings::load(directory.collations());
  if (!findings) return {};
  return collations_text(*findings, call_for(settings.cluster_name),
                         directory.collations().string());
}

void check_reindexed(const cluster::SupervisorStatus& status) {
  if (!status.reindex || status.reindex->failures.empty()) return;
  std::string text = "not everything could be reindexed";
  for (const auto& failure : status.reindex->failures) text += "\n  " + failure;
  throw Error(ErrorKind::postgres, text)
      .with_hint(
          "the collations that these indexes need keep their old version; when the cause is gone, "
          "run start --reindex again");
}

// Tells the status of this start from what an earlier one left behind.
struct Mark {
  std::int64_t pid = 0;
  std::int64_t began_ms = 0;
  bool operator==(const Mark&) const = default;
};
Mark mark_of(const std::optional<cluster::SupervisorStatus>& status) {
  if (!status) return {};
  return {status->pid, status->phases.empty() ? 0 : status->phases.front().began_ms};
}

}  // namespace

int launch_and_follow(cluster::Settings settings, const cluster::StateDirectory& directory,
                      bool detach, bool reindex) {
  const Mark before = mark_of(cluster::read_status(directory));
  const bool ran_before = cluster::supervisor_running(directory);
  const cluster::Launch launched =
      cluster::launch(settings, directory, own_program(), watch_search(), reindex);
  if (settings.point && launched == cluster::Launch::started) {
    print(fmt::format("target: {}; from backup {}\n", describe(*settings.point, settings.target),
                      settings.point->backup));
  }
  if (detach) {
    print(launched == cluster::Launch::started
              ? fmt::format("{} is being brought up; `{} status` shows how far it is\n",
                            settings.cluster_name, front_door())
              : fmt::format("{} is being looked after already\n", settings.cluster_name));
    return 0;
  }
  if (launched == cluster::Launch::started) {
    print(fmt::format("starting {} in {}\n", settings.cluster_name, directory.root().string()));
  }

  const StopOnSignal stop;
  const Terminal terminal = stdout_terminal();
  ProgressView view(
      terminal.interactive ? ProgressView::Output::terminal : ProgressView::Output::plain,
      terminal.width);
  int silent_looks = 0;
  for (;;) {
    // In this order: once the request is gone, the status tells what became of it.
    const bool asked = reindex && cluster::reindex_is_asked_for(directory);
    const auto status = cluster::read_status(directory);
    const bool alive = cluster::supervisor_running(directory);
    // A status that stood there before the launch says nothing about it.
    const bool fresh = status && (launched == cluster::Launch::already_running || ran_before ||
                                  mark_of(status) != before);
    if (fresh) {
      print(view.update(*status, unix_now()));
      if (status->phase == Phase::running && !asked) {
        if (launched == cluster::Launch::already_running) {
          print(fmt::format("{} was running already\n", settings.cluster_name));
        }
        print(running_report(settings, *status, collations_of(settings, directory)));
        if (reindex) check_reindexed(*status);
        return 0;
      }
      if (status->phase == Phase::failed) throw failure_of(*status);
    }
    if (alive) {
      silent_looks = 0;
    } else if (++silent_looks > 25) {  // five seconds: the supervisor has had time to take its lock
      print(view.close());
      if (fresh && status->phase == Phase::stopped) {
        throw Error(ErrorKind::cancelled, "the cluster was stopped before it was up");
      }
      throw cluster::silent_end(directory);
    }
    if (!stop.wait_for(200ms)) {
      print(view.close());
      print(fmt::format(
          "\nleft to itself: it goes on. `{} status` shows how far it is, `{} stop` ends it\n",
          front_door(), front_door()));
      return static_cast<int>(ErrorKind::cancelled);
    }
  }
}

}  // namespace pgrevive::cli
