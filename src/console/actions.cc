#include "console/actions.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <stop_token>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/child_process.h"
#include "base/error_text.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "cluster/containers.h"
#include "cluster/lost_primary.h"
#include "cluster/preview.h"
#include "cluster/program_copy.h"
#include "cluster/request.h"
#include "console/guard.h"
#include "console/secrets.h"
#include "restore/recovery.h"

namespace pgrevive::console {
namespace {

using nlohmann::json;

http::ServerResponse json_response(const json& value) {
  return {.type = "application/json",
          .body = value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return 400;
    case ErrorKind::not_found:
    case ErrorKind::busy:
    case ErrorKind::target_not_empty:
    case ErrorKind::unsupported:
      return 409;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::internal:
    case ErrorKind::corrupt:
    case ErrorKind::postgres:
    case ErrorKind::denied:
    case ErrorKind::system:
    case ErrorKind::cancelled:
      break;
  }
  return 500;
}

// For who waits in a browser; the command looks as long as it takes.
constexpr std::chrono::minutes kSearchLimit{5};
constexpr std::chrono::seconds kLongestWait{300};

// How long the answer may take.
std::chrono::seconds wait_of(const http::ServerRequest& request) {
  const auto wanted = parse_unsigned(request.parameter("wait").value_or(""));
  if (!wanted || *wanted > static_cast<std::uint64_t>(kLongestWait.count())) return kLongestWait;
  return std::chrono::seconds(*wanted);
}

// It was waited for long enough, and is no failure.
http::ServerResponse goes_on(std::string_view what) {
  auto response = json_response({{"done", what}, {"goes_on", true}});
  response.status = 202;
  return response;
}

// What went wrong may quote a secret.
template <typename Work>
http::ServerResponse answer(const cluster::StateDirectory& directory, Work&& work) {
  const auto masked = [&](std::string_view text) {
    return without_secrets(text, known_secrets_if_any(directory));
  };
  try {
    return work();
  } catch (const Error& error) {
    return error_response(status_of(error.kind()), masked(error.what()), masked(error.hint()),
                          error.kind());
  } catch (const std::exception& error) {
    return error_response(500, masked(error.what()));
  }
}

http::ServerResponse run_test(const cluster::StateDirectory& directory) {
  using Result = cluster::Check::Result;
  json list = json::array();
  bool passed = true;
  const auto secrets = known_secrets(directory);
  for (const auto& check : cluster::run_checks(directory)) {
    passed = passed && check.result != Result::failed;
    list.push_back({{"id", check.id},
                    {"node", check.node},
                    {"name", check.name},
                    {"result", check.result == Result::passed   ? "passed"
                               : check.result == Result::failed ? "failed"
                                                                : "not_applicable"},
                    {"detail", without_secrets(check.detail, secrets)}});
  }
  return json_response({{"passed", passed}, {"checks", list}});
}

// What a command said that ended with that code, as our own error.
http::ServerResponse failed(const std::string& said, int code) {
  constexpr std::string_view kError = "error: ";
  const auto begin = said.find(kError);
  const auto error =
      read_error(begin == std::string::npos ? said : said.substr(begin + kError.size()), code,
                 ErrorKind::system);
  return error_response(409, error.what(), error.hint(), error.kind());
}

// As a person would do without a .env: the cluster knows what it was told. It is a process of its
// own because it ends this one: the supervisor that it starts brings a console along.
http::ServerResponse run_program(
    const cluster::StateDirectory& directory, const std::filesystem::path& program,
    const std::string& done, std::vector<std::string> words, std::chrono::seconds wait,
    const std::function<void()>& started = [] {}) {
  const auto log = directory.run() / "console-start.log";
  write_file_atomic(log, "");
  auto child = ChildProcess::start(
      {.program = program,
       .arguments = std::move(words),
       .environment = {{"PGREVIVE_HOME", directory.root().parent_path().string()},
                       {"PGREVIVE_ENV_FILE", "/nonexistent/.env"}},
       .directory = "/",
       .log = log,
       .detach = true});
  started();
  const auto end = child.wait_for(wait);
  if (!end) {
    child.release();
    return goes_on(done);
  }
  const auto said =
      without_secrets(read_file_if_exists(log).value_or(""), known_secrets(directory));
  if (!end->ok()) return failed(said, end->code.value_or(0));
  return json_response({{"done", done}, {"output", said}});
}

void add_cluster(std::vector<std::string>& words, const cluster::StateDirectory& directory) {
  words.insert(words.end(), {"--cluster", directory.root().filename().string()});
}

http::ServerResponse run_start(const cluster::StateDirectory& directory,
                               std::chrono::seconds wait) {
  std::vector<std::string> words;
  add_cluster(words, directory);
  words.insert(words.end(), {"start", "--detach"});
  return run_program(directory, directory.program(), "start", std::move(words), wait);
}

// A copy of the programs, since those of a cluster that is thrown away go with it, and we too.
// Beside the cluster, where programs can be run: its own are below. Its owner may not write there
// where root has made the directory. It goes with this, unless it is left to who runs it.
class ProgramsBeside {
 public:
  explicit ProgramsBeside(const cluster::StateDirectory& directory) {
    auto place = cluster::beside_cluster(directory);
    if (::mkdtemp(place.data()) == nullptr) {
      place = (std::filesystem::temp_directory_path() / "pgrevive-XXXXXX").string();
      if (::mkdtemp(place.data()) == nullptr) throw system_error(errno, "cannot make " + place);
    }
    place_ = place;
  }
  ProgramsBeside(const ProgramsBeside&) = delete;
  ProgramsBeside& operator=(const ProgramsBeside&) = delete;
  ~ProgramsBeside() {
    std::error_code ignored;
    if (!place_.empty()) std::filesystem::remove_all(place_, ignored);
  }

  void copy(const cluster::StateDirectory& directory) const {
    for (const auto& program : {directory.program(), directory.archive_get()})
      if (const auto bytes = read_file_if_exists(program))
        cluster::copy_program(*bytes, place_ / program.filename());
  }
  const std::filesystem::path& place() const { return place_; }
  void leave() { place_.clear(); }

 private:
  std::filesystem::path place_;
};

// Which timeline is the source's is what the cluster was told, where nobody says another.
std::string wanted_timeline(const http::ServerRequest& request, const cluster::Settings& told) {
  return request.parameter("timeline").value_or(told.target.timeline);
}

http::ServerResponse run_restore(const cluster::StateDirectory& directory,
                                 const http::ServerRequest& request) {
  const auto told = cluster::from_json(read_file(directory.settings()));
  ProgramsBeside programs(directory);
  programs.copy(directory);
  // The shell removes the copy; all others are gone by then.
  std::vector<std::string> words{"-c", "\"$0\" \"$@\"; code=$?; rm -rf -- \"${0%/*}\"; exit $code",
                                 programs.place() / directory.program().filename()};
  add_cluster(words, directory);
  words.insert(words.end(), {"start", "--anew", "--yes", "--detach"});
  // What is not said is the end of the archive, as in the preview, and not what the cluster was
  // told.
  words.push_back("--type=" + request.parameter("type").value_or("default"));
  if (const auto timeline = wanted_timeline(request, told); !timeline.empty())
    words.push_back("--target-timeline=" + timeline);
  for (const char* name : {"target", "set"})
    if (const auto value = request.parameter(name); value && !value->empty())
      // One word, so that no value can pass for an option.
      words.push_back(fmt::format("--{}={}", name, *value));
  return run_program(directory, "/bin/sh", "restore", std::move(words), wait_of(request),
                     [&] { programs.leave(); });
}

// Whether the request that was left there has been taken.
bool is_taken(const cluster::StateDirectory& directory) {
  std::error_code ignored;
  return !std::filesystem::exists(directory.request(), ignored);
}

http::ServerResponse run_request(const cluster::StateDirectory& directory, cluster::Act what,
                                 const http::ServerRequest& request) {
  const auto end = std::chrono::steady_clock::now() + wait_of(request);
  const auto node = request.parameter("node").value_or("replica");
  const auto told = cluster::from_json(read_file(directory.settings()));
  cluster::check_fits(told, what, node);
  // In containers each node is looked after by its own.
  const auto asked = told.containers ? cluster::containers::volume_of(node) : directory;
  bool taken = false;
  try {
    const auto report = cluster::ask(asked, what, node, [&] {
      // Nobody who has just begun with it says so at once.
      taken = taken || is_taken(asked);
      return !taken || std::chrono::steady_clock::now() < end;
    });
    return json_response({{"done", report.act}, {"request", cluster::to_value(report)}});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::cancelled || !taken) throw;
    return goes_on(cluster::name(what));
  }
}

// What takes containers down or up is for who may tell Docker to.
void check_is_done_here(const cluster::StateDirectory& directory, const std::string& name) {
  if (name == "test" || name == "restart-node") return;
  if (!cluster::from_json(read_file(directory.settings())).containers) return;
  throw Error(ErrorKind::unsupported, "a console in a container cannot do that")
      .with_hint(
          name == "switchover"
              ? "with RUNTIME=docker there is no switchover: each node is a volume of its own"
              : "on Docker's host: ./cluster-manager.sh " +
                    std::string(name == "restore" ? "start --anew" : name));
}

void check_confirmed(const cluster::StateDirectory& directory, const std::string& name,
                     const http::ServerRequest& request) {
  if (name != "rebuild" && name != "restore") return;
  const auto settings = cluster::from_json(read_file(directory.settings()));
  if (request.parameter("confirm") == settings.cluster_name) return;
  throw Error(ErrorKind::usage, "this destroys data, and was not confirmed")
      .with_hint("give the name of the cluster as `confirm`");
}

cluster::Preview make_preview_in_time(const cluster::Settings& settings,
                                      const cluster::StateDirectory& directory,
                                      const std::function<bool()>& may_read) {
  const auto end = std::chrono::steady_clock::now() + kSearchLimit;
  std::stop_source over;
  const cluster::PointWatch watch{.stop = over.get_token(),
                                  .progress = [&](std::uint64_t, std::uint64_t) {
                                    if (std::chrono::steady_clock::now() >= end || !may_read())
                                      over.request_stop();
                                  }};
  try {
    return cluster::make_preview(settings, directory, watch, cluster::Places::not_judged);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::cancelled) throw;
    throw Error(ErrorKind::unavailable, "the search for the target was given up")
        .with_hint(
            "it takes more than five minutes, or the cluster is being restored; `start "
            "--preview` looks as long as it takes");
  }
}

}  // namespace

http::ServerResponse preview(const cluster::StateDirectory& directory,
                             const http::ServerRequest& request,
                             const std::function<bool()>& may_read) {
  return answer(directory, [&] {
    auto settings = cluster::from_json(read_file(directory.settings()));
    if (!settings.restore_from_backup)
      throw Error(ErrorKind::usage, "this cluster was not made of a backup");
    const auto type = restore::parse_recovery_type(request.parameter("type").value_or("default"));
    if (!type || *type == restore::RecoveryType::standby || *type == restore::RecoveryType::none ||
        *type == restore::RecoveryType::preserve)
      throw Error(ErrorKind::usage, "type is default, immediate, time, name, lsn or xid");
    settings.target = {.type = *type,
                       .target = request.parameter("target").value_or(""),
                       .timeline = wanted_timeline(request, settings)};
    const bool needs_target =
        *type != restore::RecoveryType::latest && *type != restore::RecoveryType::immediate;
    if (needs_target == settings.target.target.empty())
      throw Error(ErrorKind::usage,
                  needs_target ? "this type needs a target" : "this type takes no target");
    settings.backup_set = request.parameter("set");
    // Where nothing is yet, as beside this cluster.
    const cluster::StateDirectory elsewhere(directory.root() / "preview");
    auto result = make_preview_in_time(settings, elsewhere, may_read);
    mask_errors(result, known_secrets_if_any(directory));
    return http::ServerResponse{.type = "application/json", .body = cluster::to_json(result)};
  });
}

bool is_action(const std::string& name) {
  constexpr std::array kActions{"test",         "start",   "stop",       "restart",
                                "restart-node", "rebuild", "switchover", "restore"};
  return std::ranges::find(kActions, name) != kActions.end();
}

http::ServerResponse act(const cluster::StateDirectory& directory, const std::string& name,
                         const http::ServerRequest& request) {
  return answer(directory, [&] {
    check_is_done_here(directory, name);
    check_confirmed(directory, name, request);
    if (name == "test") return run_test(directory);
    if (name == "restart-node") return run_request(directory, cluster::Act::restart, request);
    if (name == "rebuild") return run_request(directory, cluster::Act::rebuild, request);
    if (name == "switchover") return run_request(directory, cluster::Act::switchover, request);
    if (name == "restore") return run_restore(directory, request);
    if (name == "stop" || name == "restart") {
      // A replica that may be all that is left is of more use while it runs.
      if (name == "restart") cluster::refuse_lost_primary(directory);
      const bool ran =
          cluster::stop(directory, std::chrono::minutes(2), cluster::ConsoleFate::stays);
      if (name == "stop") return json_response({{"done", "stop"}, {"ran", ran}});
    }
    return run_start(directory, wait_of(request));
  });
}

}  // namespace pgrevive::console
