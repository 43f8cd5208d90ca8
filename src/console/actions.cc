#include "console/actions.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <stop_token>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "cluster/preview.h"
#include "console/guard.h"
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
      return 409;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::internal:
    case ErrorKind::corrupt:
    case ErrorKind::unsupported:
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

template <typename Work>
http::ServerResponse answer(Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    return error_response(status_of(error.kind()), error.what(), error.hint());
  } catch (const std::exception& error) {
    return error_response(500, error.what());
  }
}

json last_lines(const std::filesystem::path& path, std::size_t lines) {
  constexpr off_t kMost = 64 << 10;
  json list = json::array();
  try {
    const auto fd = open_file(path, O_RDONLY);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return list;
    const auto from = std::max<off_t>(0, info.st_size - kMost);
    std::string text(static_cast<std::size_t>(info.st_size - from), '\0');
    const auto size = ::pread(fd.get(), text.data(), text.size(), from);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    auto all = split(trim(text), '\n');
    if (from > 0) all.erase(all.begin());  // its beginning is missing
    const auto skipped = all.size() > lines ? all.size() - lines : 0;
    for (std::size_t i = skipped; i < all.size(); ++i)
      if (!all[i].empty()) list.push_back(printable(all[i], 1000));
  } catch (const Error&) {
    // Nothing was written yet.
  }
  return list;
}

http::ServerResponse run_test(const cluster::StateDirectory& directory) {
  using Result = cluster::Check::Result;
  json list = json::array();
  bool passed = true;
  for (const auto& check : cluster::run_checks(directory)) {
    passed = passed && check.result != Result::failed;
    list.push_back({{"name", check.name},
                    {"result", check.result == Result::passed   ? "passed"
                               : check.result == Result::failed ? "failed"
                                                                : "not_applicable"},
                    {"detail", check.detail}});
  }
  return json_response({{"passed", passed}, {"checks", list}});
}

// As a person's `start` without a .env would: the cluster knows what it was told. It is a process
// of its own because it ends this one: the supervisor that it starts brings a console along.
http::ServerResponse run_start(const cluster::StateDirectory& directory) {
  const auto log = directory.run() / "console-start.log";
  write_file_atomic(log, "");
  auto child = ChildProcess::start(
      {.program = directory.program(),
       .arguments = {"--cluster", directory.root().filename().string(), "start", "--detach"},
       .environment = {{"PGREVIVE_HOME", directory.root().parent_path().string()},
                       {"PGREVIVE_ENV_FILE", "/nonexistent/.env"}},
       .directory = "/",
       .log = log,
       .detach = true});
  const auto end = child.wait_for(std::chrono::minutes(5));
  if (!end) {
    child.release();
    return error_response(503, "start takes long; it goes on");
  }
  const auto said = read_file(log);
  if (!end->ok()) return error_response(409, said);
  return json_response({{"done", "start"}, {"output", said}});
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
    return cluster::make_preview(settings, directory, watch);
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
  return answer([&] {
    auto settings = cluster::from_json(read_file(directory.settings()));
    if (!settings.restore_from_backup)
      throw Error(ErrorKind::usage, "this cluster was not made of a backup");
    const auto type = restore::parse_recovery_type(request.parameter("type").value_or("default"));
    if (!type || *type == restore::RecoveryType::standby || *type == restore::RecoveryType::none ||
        *type == restore::RecoveryType::preserve)
      throw Error(ErrorKind::usage, "type is default, immediate, time, name, lsn or xid");
    settings.target = {.type = *type, .target = request.parameter("target").value_or("")};
    const bool needs_target =
        *type != restore::RecoveryType::latest && *type != restore::RecoveryType::immediate;
    if (needs_target == settings.target.target.empty())
      throw Error(ErrorKind::usage,
                  needs_target ? "this type needs a target" : "this type takes no target");
    settings.backup_set = request.parameter("set");
    // Where nothing is yet, as beside this cluster.
    const cluster::StateDirectory elsewhere(directory.root() / "preview");
    const auto result = make_preview_in_time(settings, elsewhere, may_read);
    return http::ServerResponse{.type = "application/json", .body = cluster::to_json(result)};
  });
}

http::ServerResponse logs(const cluster::StateDirectory& directory,
                          const http::ServerRequest& request) {
  return answer([&] {
    const auto lines = std::min<std::size_t>(
        parse_unsigned(request.parameter("lines").value_or("50")).value_or(50), 200);
    const auto settings = cluster::from_json(read_file(directory.settings()));
    return json_response({{"supervisor", last_lines(directory.supervisor_log(), lines)},
                          {"restore", last_lines(directory.logs("primary") /
                                                     (settings.repository.stanza + "-restore.log"),
                                                 lines)}});
  });
}

bool is_action(const std::string& name) {
  constexpr std::array kActions{"test", "start", "stop", "restart"};
  return std::ranges::find(kActions, name) != kActions.end();
}

http::ServerResponse act(const cluster::StateDirectory& directory, const std::string& name) {
  return answer([&] {
    if (name == "test") return run_test(directory);
    if (name == "stop" || name == "restart") {
      const bool ran =
          cluster::stop(directory, std::chrono::minutes(2), cluster::ConsoleFate::stays);
      if (name == "stop") return json_response({{"done", "stop"}, {"ran", ran}});
    }
    return run_start(directory);
  });
}

}  // namespace pgrevive::console
