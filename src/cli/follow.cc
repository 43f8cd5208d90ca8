#include "cli/follow.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/collations_text.h"
#include "cli/front_door.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/progress_view.h"
#include "cli/restore_command.h"
#include "cli/running_report.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cluster/containers.h"
#include "cluster/reindex.h"
#include "cluster/silent_end.h"
#include "cluster/status_board.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;
using cluster::Phase;

void print(const std::string& text) { write_to(stdout, text); }

Error failure_of(const cluster::SupervisorStatus& status) {
  auto error =
      read_error(status.error.empty() ? "the cluster could not be brought up" : status.error,
                 status.exit_code, ErrorKind::internal);
  if (error.hint().empty()) error.with_hint(fmt::format("`{} logs` has the details", front_door()));
  return error;
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

ProgressView view_for(const Terminal& terminal) {
  return {terminal.interactive ? ProgressView::Output::terminal : ProgressView::Output::plain,
          terminal.width};
}

std::string left_to_itself() {
  return fmt::format("`{} status` shows how far it is, `{} stop` ends it", front_door(),
                     front_door());
}

int leave_to_itself(ProgressView& view) {
  print(view.close());
  print(fmt::format("\nleft to itself: it goes on. {}\n", left_to_itself()));
  return static_cast<int>(ErrorKind::cancelled);
}

std::string point_text(const cluster::Settings& settings) {
  return fmt::format("target: {}; from backup {}\n", describe(*settings.point, settings.target),
                     settings.point->backup);
}

// The exit code that comes on a descriptor once it is known; empty: not yet.
struct ServiceEnd {
  bool known = false;
  std::optional<int> code;  // empty: nobody is there any more to tell
};
ServiceEnd look_for_end(int descriptor) {
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, 0) != 1) return {};
  char text[16];
  const auto size = ::read(descriptor, text, sizeof text);
  const auto code =
      parse_unsigned(trim({text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))}));
  if (!code) return {.known = true};
  return {.known = true, .code = static_cast<int>(*code)};
}

// Without what comes once all is up: that the servers are taken down again, for each to get a
// container of its own, is nothing that a person starts.
cluster::SupervisorStatus until_joined(cluster::SupervisorStatus status) {
  std::erase_if(status.phases, [](const cluster::PhaseTime& phase) {
    return phase.phase == Phase::stopping || phase.phase == Phase::stopped;
  });
  if (status.phase == Phase::stopping) status.phase = Phase::stopped;
  return status;
}

// What a node's container says of its start; nothing of an earlier one.
std::optional<cluster::SupervisorStatus> fresh_start(const cluster::StateDirectory& directory,
                                                     std::int64_t since_ms) {
  auto status = cluster::read_status(directory);
  if (!status || status->phases.empty() || status->phases.front().began_ms < since_ms) return {};
  return status;
}

// One that was not started runs on from before.
std::optional<cluster::SupervisorStatus> fresh_start_or_one_that_runs(
    const cluster::StateDirectory& directory, std::int64_t since_ms) {
  if (auto started = fresh_start(directory, since_ms)) return started;
  auto status = cluster::read_status(directory);
  if (!status || status->phase != Phase::running || !cluster::supervisor_running(directory))
    return {};
  return status;
}

// Whether it begins with that of the volumes, which was shown.
bool is_behind_a_restore(const cluster::SupervisorStatus& status) {
  return std::ranges::find(status.phases, Phase::joining, &cluster::PhaseTime::phase) !=
         status.phases.end();
}

// As one supervisor has it: from when on the primary runs the replica joins, until it runs.
cluster::SupervisorStatus with_joining(cluster::SupervisorStatus status,
                                       const std::optional<cluster::SupervisorStatus>& replica) {
  if (status.phase != Phase::running) return status;
  auto& joining = status.phases.back();
  joining.phase = Phase::joining;
  if (!replica || replica->phase != Phase::running) {
    status.phase = Phase::joining;
    return status;
  }
  const auto joined = std::max(joining.began_ms, replica->phases.back().began_ms);
  joining.ended_ms = joined;
  status.phases.push_back({.phase = Phase::running, .began_ms = joined});
  return status;
}

// What tells the first sign of life of a launch from older ones.
struct Before {
  explicit Before(const cluster::StateDirectory& directory)
      : mark(mark_of(cluster::read_status(directory))),
        ran(cluster::supervisor_running(directory)) {}
  Mark mark;
  bool ran = false;
  std::int64_t time_ms = cluster::unix_milliseconds();
};

// Whether the status tells of what failed before the launch: a full disk tells it when there is
// room.
bool failed_before(const cluster::SupervisorStatus& status, const Before& before) {
  return status.phase == Phase::failed && !status.phases.empty() &&
         status.phases.back().began_ms < before.time_ms;
}

// Throws where a supervisor has not written for a while and cannot.
class SilenceWatch {
 public:
  explicit SilenceWatch(const cluster::StateDirectory& directory) : directory_(directory) {}
  void look() {
    std::error_code none;
    const auto written = std::filesystem::last_write_time(directory_.status(), none);
    const auto time = std::chrono::steady_clock::now();
    if (written != written_) {
      written_ = written;
      since_ = time;
    }
    if (time - since_ < 10s) return;
    since_ = time;
    if (const auto error = cluster::why_silent(directory_)) throw *error;
  }

 private:
  const cluster::StateDirectory& directory_;
  std::filesystem::file_time_type written_{};
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

// What came of it, for programs.
int done(const Following& words, const cluster::StateDirectory& directory,
         cluster::Launch launched) {
  if (!words.json) return 0;
  const nlohmann::ordered_json json{
      {"done", words.act},
      {"already_running", launched == cluster::Launch::already_running},
      {"status",
       nlohmann::ordered_json::parse(cluster::to_json(cluster::collect_status(directory)))}};
  print(json.dump(2) + "\n");
  return 0;
}

int follow(const cluster::Settings& settings, const cluster::StateDirectory& directory,
           const Before& before, cluster::Launch launched, const Following& words) {
  const auto tell = [&](const std::string& text) { write_to(words.json ? stderr : stdout, text); };
  if (settings.point && launched == cluster::Launch::started) {
    tell(point_text(settings));
  }
  if (words.detach) {
    tell(launched == cluster::Launch::started
             ? fmt::format("{} is being brought up; `{} status` shows how far it is\n",
                           settings.cluster_name, front_door())
             : fmt::format("{} is being looked after already\n", settings.cluster_name));
    return done(words, directory, launched);
  }
  if (launched == cluster::Launch::started) {
    tell(fmt::format("starting {} in {}\n", settings.cluster_name, directory.root().string()));
  }

  const StopOnSignal stop;
  ProgressView view = view_for(words.json ? Terminal{} : stdout_terminal());
  SilenceWatch silence(directory);
  bool again = launched == cluster::Launch::already_running;
  int silent_looks = 0;
  for (;;) {
    // In this order: once the request is gone, the status tells what became of it.
    const bool asked = words.reindex && cluster::reindex_is_asked_for(directory);
    const auto status = cluster::read_status(directory);
    const bool alive = cluster::supervisor_running(directory);
    // A status that stood there before the launch says nothing about it.
    const bool fresh = status && (launched == cluster::Launch::already_running || before.ran ||
                                  mark_of(status) != before.mark);
    if (fresh && again && failed_before(*status, before)) {
      again = false;
      cluster::try_again(directory);
      continue;
    }
    if (fresh) {
      tell(view.update(*status, unix_now()));
      if (status->phase == Phase::running && !asked) {
        if (launched == cluster::Launch::already_running) {
          tell(fmt::format("{} was running already\n", settings.cluster_name));
        }
        tell(running_report(settings, *status, collations_of(settings, directory)));
        if (words.reindex) check_reindexed(*status);
        return done(words, directory, launched);
      }
      if (status->phase == Phase::failed) throw failure_of(*status);
    }
    if (alive) {
      silent_looks = 0;
      silence.look();
    } else if (++silent_looks > 25) {  // five seconds: the supervisor has had time to take its lock
      tell(view.close());
      if (fresh && status->phase == Phase::stopped) {
        throw Error(ErrorKind::cancelled, "the cluster was stopped before it was up");
      }
      throw cluster::silent_end(directory);
    }
    if (!stop.wait_for(200ms)) {
      if (words.json)
        throw Error(ErrorKind::cancelled, "left to itself: it goes on").with_hint(left_to_itself());
      return leave_to_itself(view);
    }
  }
}

}  // namespace

std::string collations_of(const cluster::Settings& settings,
                          const cluster::StateDirectory& directory) {
  const auto findings = cluster::CollationFindings::load(directory.collations());
  if (!findings) return {};
  return collations_text(*findings, call_for(settings.cluster_name),
                         cluster::place_of_collations(directory, settings));
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

int launch_and_follow(cluster::Settings settings, const cluster::StateDirectory& directory,
                      const Following& words) {
  const Before before(directory);
  const cluster::Launch launched =
      cluster::launch(settings, directory, own_program(), watch_search(), words.reindex);
  return follow(settings, directory, before, launched, words);
}

int launch_anew_and_follow(const cluster::Settings& settings,
                           const cluster::StateDirectory& directory, const Following& words,
                           const cluster::Anew& anew, cluster::ChangeLock held) {
  const Before before(directory);
  cluster::launch_anew(settings, directory, anew, std::move(held), own_program(), words.reindex);
  return follow(settings, directory, before, cluster::Launch::started, words);
}

int follow_reindex(const cluster::StateDirectory& directory) {
  const StopOnSignal stop;
  ProgressView view = view_for(stdout_terminal());
  SilenceWatch silence(directory);
  int silent_looks = 0;
  for (;;) {
    // In this order: once the request is gone, the status tells what became of it.
    const bool asked = cluster::reindex_is_asked_for(directory);
    if (auto status = cluster::read_status(directory)) {
      // The rest is what the cluster was made with, and was told then.
      std::erase_if(status->phases, [](const cluster::PhaseTime& phase) {
        return phase.phase != Phase::reindexing;
      });
      status->notices.clear();
      print(view.update(*status, unix_now()));
      if (!asked && status->phase == Phase::running) return 0;
    }
    silent_looks = cluster::supervisor_running(directory) ? 0 : silent_looks + 1;
    if (silent_looks == 0) silence.look();
    // A container that died is started again, and goes on.
    if (silent_looks > 150) {
      print(view.close());
      throw Error(ErrorKind::postgres, "the primary's container does not run any more")
          .with_hint("its log says why; the next start goes on with the indexes");
    }
    if (!stop.wait_for(200ms)) return leave_to_itself(view);
  }
}

int follow_nodes(const cluster::StateDirectory& directory, std::int64_t since_ms) {
  const auto of_replica = cluster::containers::volume_of("replica");
  const StopOnSignal stop;
  ProgressView view = view_for(stdout_terminal());
  do {
    const auto primary = fresh_start(directory, since_ms);
    if (!primary) continue;
    if (is_behind_a_restore(*primary)) return 0;
    const auto status = with_joining(*primary, fresh_start_or_one_that_runs(of_replica, since_ms));
    print(view.update(status, unix_now()));
    if (status.phase == Phase::running || status.phase == Phase::failed) return 0;
  } while (stop.wait_for(200ms));
  print(view.close());
  return 0;
}

int follow_service(const cluster::StateDirectory& directory, std::int64_t since_ms, int end) {
  const StopOnSignal stop;
  ProgressView view = view_for(stdout_terminal());
  SilenceWatch silence(directory);
  bool point_told = false;
  for (;;) {
    // In this order: what it wrote last is there once it has ended.
    const auto ended = look_for_end(end);
    const auto status = cluster::read_status(directory);
    const bool fresh =
        status && !status->phases.empty() && status->phases.front().began_ms >= since_ms;
    if (fresh && status->phase != Phase::preparing && !point_told) {
      const auto settings = read_file_if_exists(directory.settings());
      const auto told = settings ? cluster::from_json(*settings) : cluster::Settings{};
      if (told.point) print(point_text(told));
      point_told = true;
    }
    if (fresh) print(view.update(until_joined(*status), unix_now()));
    if (ended.code == 0) {
      print(view.close());
      return 0;
    }
    if (ended.code) {
      print(view.close());
      if (fresh && status->phase == Phase::failed) throw failure_of(*status);
      throw Error(
          kind_of_exit(*ended.code, ErrorKind::internal),
          fresh ? "the restore was stopped before the cluster was up" : "the restore did not begin")
          .with_hint("the log of its container says why");
    }
    if (cluster::supervisor_running(directory)) silence.look();
    if (ended.known || !stop.wait_for(200ms)) return leave_to_itself(view);
  }
}

}  // namespace pgrevive::cli
