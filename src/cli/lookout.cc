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

std::string answer_of(const std::string& url) {
  const http::Client client({.no_proxy = true, .connect_timeout = 1s, .stall_timeout = 2s});
  std::string body;
  const auto response = client.perform(
      {.url = url + "api/v1/repository", .headers = {{.name = "X-Pgrevive", .value = "1"}}},
      [&](const http::Response&, ByteView bytes) {
        if (body.size() + bytes.size() > kLongestAnswer)
          throw Error(ErrorKind::corrupt, "the console's answer is too long");
        body += as_text(bytes);
      });
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

Beside Lookout::look(const cluster::Sight& sight) {
  lags_.add(console::lag_sample(sight));
  Beside beside{.lags = lags_.samples(), .log = {}, .source = {}};
  try {
    if (restores(sight.status))
      beside.log =
          console::last_log_lines(directory_, restored_node(sight.status.supervisor), kLogLines);
  } catch (const std::exception& error) {
    beside.log = {printable(error.what(), 300)};
  }
  const auto now = std::chrono::steady_clock::now();
  if (!sight.status.console_url.empty() &&
      (asked_ == decltype(asked_){} || now - asked_ >= kAskEvery)) {
    asked_ = now;
    try {
      source_ = source_text(answer_of(sight.status.console_url));
    } catch (const std::exception&) {
      source_.clear();  // The console is not there, or is another version's.
    }
  }
  beside.source = source_;
  return beside;
}

}  // namespace pgrevive::cli
