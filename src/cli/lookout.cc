#include "cli/lookout.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/console_process.h"
#include "cluster/settings.h"
#include "console/logs.h"
#include "http/client.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kAskEvery = 30s;
constexpr auto kAskAgain = 5s;
constexpr std::size_t kLogLines = 3;
// Of years of backups it is far less.
constexpr std::size_t kLongestAnswer = 64 << 20;

// A replica that is made anew has a restore, and a log, of its own.
std::string restored_node(const cluster::SupervisorStatus& supervisor) {
  const auto phases = cluster::phases_of_restore(supervisor.phases);
  const bool whole = !phases.empty() && phases.front().phase == cluster::Phase::preparing;
  const auto& request = supervisor.request;
  return request && request->act == "rebuild" && !whole ? "restore-" + request->node : "restore";
}

bool restores(const cluster::ClusterStatus& status) {
  using cluster::Phase;
  const auto phase = status.supervisor.phase;
  return status.supervisor_running && (phase == Phase::preparing || phase == Phase::restoring ||
                                       phase == Phase::recovering || phase == Phase::promoting);
}

// Where this cluster's own console listens; empty where it does not run: on its port another
// cluster's may. In containers it has one to itself, beside the one that we are in.
struct Door {
  std::string url;
  http::ClientOptions options;
};
Door door_of(const cluster::StateDirectory& directory, const cluster::ClusterStatus& status) {
  Door door{.url = status.console_url,
            .options = {.no_proxy = true, .connect_timeout = 1s, .stall_timeout = 1s}};
  if (status.containers) {
    door.url =
        door.url.empty() ? "" : fmt::format("http://localhost:{}/", cluster::kContainerConsolePort);
    door.options.connect_host = status.cluster_name + "-console";
    door.options.connect_port = cluster::kContainerConsolePort;
  } else if (!cluster::find_side_process(cluster::console_program(directory))) {
    door.url.clear();
  }
  return door;
}

std::string answer_of(const Door& door, const std::stop_token& stop) {
  const http::Client client(door.options);
  const auto end = std::chrono::steady_clock::now() + 2s;
  std::string body;
  const auto response = client.perform(
      {.url = door.url + "api/v1/repository", .headers = {{.name = "X-Pgrevive", .value = "1"}}},
      [&](const http::Response&, ByteView bytes) {
        if (body.size() + bytes.size() > kLongestAnswer || std::chrono::steady_clock::now() > end)
          throw Error(ErrorKind::unavailable, "the console's answer is too long");
        body += as_text(bytes);
      },
      stop);
  return response.failure || response.status != 200 ? "" : body;
}

std::string seconds_text(std::int64_t unix_seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(unix_seconds)));
}

}  // namespace

std::string source_text(const std::string& answer) {
  const auto repository = nlohmann::json::parse(answer);
  if (repository.at("read_ms") == 0) return {};
  auto text = repository.at("place").get<std::string>();
  if (text.empty()) return {};
  text = printable(text, 300);
  if (const auto error = repository.at("error").get<std::string>(); !error.empty())
    return text + "\ncannot be read: " + printable(error, 300);
  const auto& windows = repository.at("recoverable");
  if (windows.empty()) return text + "\nnothing in it can be recovered";
  for (const auto& window : windows)
    text += fmt::format("\nrecoverable from {} to {}",
                        seconds_text(window.at("from").get<std::int64_t>()),
                        seconds_text(window.at("to").get<std::int64_t>()));
  return text;
}

Lookout::Lookout(cluster::StateDirectory directory)
    : directory_(std::move(directory)), lags_(console::kept_lags(directory_)) {}

Beside Lookout::look(const cluster::Sight& sight, const std::stop_token& stop) {
  lags_.add(console::lag_sample(sight));
  Beside beside{.lags = lags_.samples(), .log = {}, .source = {}};
  try {
    if (restores(sight.status))
      beside.log =
          console::last_log_lines(directory_, restored_node(sight.status.supervisor), kLogLines);
  } catch (const std::exception& error) {
    beside.log = {printable(error.what(), 300)};
  }
  if (drawn_ && Clock::now() >= next_) {
    next_ = Clock::now() + kAskEvery;
    try {
      const auto door = door_of(directory_, sight.status);
      source_ = door.url.empty() ? "" : source_text(answer_of(door, stop));
    } catch (const std::exception&) {
      source_.clear();  // the console does not answer, or is another version's
    }
    // It reads the source some moments after it has come up.
    if (source_.empty()) next_ = Clock::now() + kAskAgain;
  }
  drawn_ = true;
  beside.source = source_;
  return beside;
}

}  // namespace pgrevive::cli
