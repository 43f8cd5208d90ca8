#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/adminer.h"
#include "cluster/bring_up.h"
#include "cluster/cluster.h"
#include "cluster/console_process.h"
#include "cluster/containers.h"
#include "cluster/first_backup.h"
#include "cluster/lost_primary.h"
#include "cluster/new_cluster.h"
#include "cluster/node_record.h"
#include "cluster/notices.h"
#include "cluster/rebuild.h"
#include "cluster/reindex.h"
#include "cluster/request.h"
#include "cluster/restore_history.h"
#include "cluster/stop_signals.h"
#include "cluster/switchover.h"
#include "cluster/workplace.h"

namespace pgrevive::cluster {
namespace {

FileLock lock(const StateDirectory& directory) {
  // Someone who only asks whether a supervisor lives holds the lock for a moment.
  for (int i = 0; i < 30; ++i) {
    if (auto held = FileLock::try_acquire(directory.supervisor_lock())) {
      // Written into the locked file itself: replacing it would leave the lock on another.
      const auto file = open_file(directory.supervisor_lock(), O_WRONLY | O_TRUNC);
      write_all(file.get(), as_bytes(std::to_string(::getpid())), directory.supervisor_lock());
      return *std::move(held);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw Error(ErrorKind::busy, "this cluster has a supervisor already");
}

void fail(StatusBoard& board, const Error& error) {
  board.log("error: " + error.text());
  board.change([&](SupervisorStatus& status) {
    status.error = error.text();
    status.exit_code = error.exit_code();
  });
  board.enter(Phase::failed);
  board.flush();
}

// What the library throws on its own as the Error that everybody here looks for: without it servers
// would stay as they are, and who asked would never be told.
template <typename Body>
decltype(auto) with_errors_only(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (const std::filesystem::filesystem_error& error) {
    throw system_error(error.code().value(), error.path1().string());
  } catch (const std::exception& error) {
    throw Error(ErrorKind::internal, error.what());
  }
}

void note(Site& site, const std::string& outcome, const Error* failure) {
  auto restore = past_restore(site.board.status(), outcome, failure ? failure->text() : "",
                              unix_milliseconds());
  if (!restore) return;
  if (failure) restore->exit_code = failure->exit_code();
  try {
    note_restore(site.directory, *restore);
  } catch (const Error& error) {
    site.board.log("how the restore went cannot be noted: " + error.text());
  }
}

BroughtUp bring_up_and_note(Site& site) {
  try {
    auto brought_up = with_errors_only([&] { return bring_up(site); });
    const auto& failure = brought_up.replica_failure;
    note(site, failure ? "failed" : "done", failure ? &*failure : nullptr);
    return brought_up;
  } catch (const Error& error) {
    const bool stopped = error.kind() == ErrorKind::cancelled && site.stop.stop_requested();
    note(site, stopped ? "stopped" : "failed", stopped ? nullptr : &error);
    throw;
  }
}

// Keeps the cluster up until a stop is asked for.
class Watch {
 public:
  Watch(Site& site, Adminer& adminer, StopSignals& signals)
      : site_(site), adminer_(adminer), signals_(signals), first_backup_(site) {}

  [[noreturn]] void run(const BroughtUp& first) {
    reindex();
    settle(first);
    for (;;) {
      site_.rest(std::chrono::milliseconds(500));
      site_.servers.tick();
      adminer_.tick();
      if (!failed_) first_backup_.tick();
      tell_again();
      if (signals_.take_try_again() && failed_) try_again();
      if (const auto request = take_request(site_.directory)) carry_out(*request);
      if (!failed_ && reindex()) site_.board.enter(Phase::running);
      for (const auto& node : node_names(site_.settings.replicas))
        if (const auto error = site_.servers.gave_up(node); error && !failed_) give_up(*error);
    }
  }

 private:
  // What was up before is up afterwards, whatever came of it.
  void carry_out(const Request& request) {
    site_.board.log(fmt::format("{} of {}, as it was asked for", name(request.act), request.node));
    RequestReport report{.id = request.id,
                         .act = std::string(name(request.act)),
                         .node = request.node,
                         .state = "working",
                         .began_ms = unix_milliseconds()};
    tell(report);
    if (const auto refused = why_not(request)) {
      site_.board.log("error: " + refused->text());
      end(report, refused);
      return;
    }
    clear();
    site_.servers.try_again();
    std::optional<Error> failure;
    try {
      with_errors_only([&] { begin(request); });
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      failure = error;
      site_.board.log("error: " + error.text());
    }
    try {
      const auto brought_up = bring_up_and_note(site_);
      if (!failure) failure = brought_up.replica_failure;
      settle(brought_up);
    } catch (const Error& error) {
      end(report, error);
      throw;
    }
    end(report, failure);
  }
  // What is seen before anything is touched leaves all as it is: a server that was given up, too.
  std::optional<Error> why_not(const Request& request) const {
    try {
      check_fits(site_.settings, request.act, request.node);
      with_errors_only([&] {
        // Its server may run on for a while, and answer.
        refuse_lost_primary(site_.directory);
        if (request.act == Act::rebuild) check_rebuild(site_, request.node);
        if (request.act == Act::switchover) check_can_switch(site_, request.node);
      });
      return {};
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      return error;
    }
  }
  void begin(const Request& request) {
    switch (request.act) {
      case Act::restart:
        site_.servers.stop(request.node);
        break;
      case Act::rebuild:
        site_.board.enter(Phase::joining);
        site_.servers.stop(request.node);
        give_away(site_.directory, request.node);
        break;
      case Act::switchover:
        switch_over(site_, request.node);
        break;
    }
  }
  void tell(const RequestReport& report) {
    site_.board.change([&](SupervisorStatus& status) { status.request = report; });
    site_.board.flush();
  }
  void end(RequestReport& report, const std::optional<Error>& failure) {
    report.state = failure ? "failed" : "done";
    if (failure) report.error = failure->text();
    report.ended_ms = unix_milliseconds();
    tell(report);
  }
  // A status that could not be written when it changed is told late rather than never: `start`
  // waits for it.
  void tell_again() {
    const auto time = std::chrono::steady_clock::now();
    if (time - looked_ < std::chrono::seconds(2)) return;
    looked_ = time;
    try {
      const auto told = read_status(site_.directory);
      const auto& status = site_.board.status();
      const auto state = [](const SupervisorStatus& of) {
        return of.request ? of.request->id + of.request->state : std::string();
      };
      if (told && told->phase == status.phase && state(*told) == state(status)) return;
    } catch (const std::exception&) {
      // What cannot be read is written anew.
    }
    site_.board.flush();
  }
  void try_again() {
    site_.board.log("trying again");
    clear();
    site_.servers.try_again();
    const auto brought_up = bring_up_and_note(site_);
    reindex();
    settle(brought_up);
  }
  bool reindex() {
    if (!reindex_is_asked_for(site_.directory)) return false;
    reindex_if_asked(site_, [this] { adminer_.tick(); });
    return true;
  }
  void settle(const BroughtUp& brought_up) {
    if (brought_up.replica_failure)
      give_up(*brought_up.replica_failure);
    else
      site_.board.enter(Phase::running);
  }
  // The other servers go on, and so do we: they are worth watching.
  void give_up(const Error& error) {
    failed_ = true;
    fail(site_.board, error);
  }
  void clear() {
    // Before the error goes: who follows takes a failure without one for one that has just come.
    if (failed_) site_.board.enter(Phase::preparing);
    failed_ = false;
    site_.board.change([](SupervisorStatus& status) {
      status.error.clear();
      status.exit_code = 0;
    });
  }

  Site& site_;
  Adminer& adminer_;
  StopSignals& signals_;
  FirstBackup first_backup_;
  bool failed_ = false;
  std::chrono::steady_clock::time_point looked_{};
};

// Starts the console again when it dies, for which whoever restores has no time.
class ConsoleKeeper {
 public:
  ConsoleKeeper(StatusBoard& board, const StateDirectory& directory)
      : process_(board, console_program(directory)) {
    process_.start(console_command(directory));
    thread_ = std::jthread([this](const std::stop_token& stop) {
      std::mutex mutex;
      std::condition_variable_any condition;
      std::unique_lock lock(mutex);
      while (!condition.wait_for(lock, stop, std::chrono::milliseconds(500),
                                 [&] { return stop.stop_requested(); }))
        process_.tick();
    });
  }
  // The console lives without us from here on, to say how it ended.
  ~ConsoleKeeper() {
    thread_.request_stop();
    thread_.join();
    process_.leave();
  }
  ConsoleKeeper(const ConsoleKeeper&) = delete;
  ConsoleKeeper& operator=(const ConsoleKeeper&) = delete;

 private:
  SideProcess process_;  // of the thread alone, while that runs
  std::jthread thread_;
};

// A cluster that is up does not go down for want of its Adminer.
void start_beside(Adminer& adminer, StatusBoard& board) {
  try {
    adminer.start();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    board.warn(notice("adminer_off", error.what()));
  }
}

void bring_up_and_watch(Site& site, StopSignals& signals, Until until) {
  Adminer adminer(site.settings, site.directory, site.board);
  try {
    with_errors_only([&] {
      const auto brought_up = bring_up_and_note(site);
      if (until == Until::brought_up) {
        if (brought_up.replica_failure) throw *brought_up.replica_failure;
        site.board.enter(Phase::stopping);
        site.servers.stop_all();
        site.board.enter(Phase::stopped);
        return;
      }
      start_beside(adminer, site.board);
      Watch(site, adminer, signals).run(brought_up);
    });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled && site.stop.stop_requested())
      site.board.enter(Phase::stopping);
    adminer.stop();
    // A cluster that is not whole must not be used: no WAL is archived, roles are not what .env
    // says, or recovery has not ended.
    site.servers.stop_all();
    throw;
  }
}

int bring_up_watch_and_report(const StateDirectory& directory, const Settings& settings,
                              const Marker& marker, StatusBoard& board, StopSignals& signals,
                              Until until) {
  try {
    const auto version =
        while_doing("preparing the cluster", [&] { return cluster_version(settings, directory); });
    Workplace workplace(settings, directory, marker, board, signals.stop(), version,
                        cluster_binaries(settings, version));
    bring_up_and_watch(workplace.site(), signals, until);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled && signals.stop().stop_requested()) {
      board.enter(Phase::stopped);
      // Who waits for a cluster that was brought up must not go on.
      return until == Until::stopped ? 0 : error.exit_code();
    }
    fail(board, settings.containers ? containers::in_words_of_docker(error) : error);
    return error.exit_code();
  } catch (const std::exception& error) {
    const Error internal(ErrorKind::internal, error.what());
    fail(board, internal);
    return internal.exit_code();
  }
  return 0;
}

}  // namespace

int supervise(const StateDirectory& directory, Until until) {
  StopSignals signals;
  const auto held = lock(directory);
  // Left for the supervisor before us, at a time when the cluster may have been another.
  take_request(directory);
  const auto marker = load_marker(directory);
  if (marker.owner != ::geteuid())
    throw Error(ErrorKind::denied, "the cluster in " + directory.root().string() +
                                       " belongs to user " + marker.owner_name);
  const auto settings = from_json(read_file(directory.settings()));

  StatusBoard board(directory, {.cluster_name = settings.cluster_name, .pid = ::getpid()});
  board.enter(Phase::preparing);
  // Before all else, so that there is something to look at from the first second. In containers it
  // is one of its own.
  std::optional<ConsoleKeeper> console;
  if (settings.console_port != 0 && !settings.containers)
    console.emplace(board, directory);
  else
    stop_side_process(console_program(directory));
  if (const auto exposure = console_exposure(settings)) board.warn(*exposure);
  return bring_up_watch_and_report(directory, settings, marker, board, signals, until);
}

std::optional<SupervisorStatus> read_status(const StateDirectory& directory) {
  const auto text = read_file_if_exists(directory.status());
  // It is never synced, so the power may leave it empty or in part; each write replaces it whole.
  if (!text || !nlohmann::json::accept(*text)) return {};
  return status_from_json(*text);
}

}  // namespace pgrevive::cluster
