#include "cluster/servers.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include <fmt/format.h>
#include <sys/wait.h>

#include "base/backoff.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/text.h"
#include "postgres/log_passwords.h"

namespace pgrevive::cluster {
namespace {

constexpr int kAttempts = 5;
constexpr BackoffPolicy kRestartDelay{.first = std::chrono::milliseconds(500),
                                      .ceiling = std::chrono::milliseconds(10'000)};
// A fast shutdown ends with a checkpoint, which writes as much as shared_buffers holds.
constexpr std::chrono::minutes kStopLimit{5};

// Of a log that shows statements too: for messages, which go further than it does.
std::string shown(std::string_view line, std::size_t most) {
  return printable(postgres::without_passwords(line), most);
}

}  // namespace

void Servers::start(const std::string& node, const postgres::ServerOptions& options, int port) {
  auto& server = servers_[node];
  server.options = options;
  server.port = port;
  server.wanted = true;
  server.given_up.reset();
  server.failures = 0;
  if (look(server)) {
    const auto pid = postgres::read_postmaster_pid(options.data_directory);
    if (!pid || pid->port == port || pid->port == 0) {
      board_.log(fmt::format("{}: its server runs already (pid {})", node, pid ? pid->pid : 0));
      server.up = true;
      return;
    }
    board_.log(fmt::format("{}: its server listens on port {}, not {}; restarting it", node,
                           pid->port, port));
    stop(node);
    server.wanted = true;
  }
  launch(node, server);
}

void Servers::ask_to_stop(const std::string& node, postgres::ShutdownMode mode) {
  const auto found = servers_.find(node);
  if (found == servers_.end()) return;
  auto& server = found->second;
  server.wanted = false;
  // In its first moments it has no postmaster.pid to be found by, but we know our own child.
  if (look(server) && server.child != 0)
    ::kill(server.child, postgres::signal_of(mode));
  else
    postgres::stop_server(server.options.data_directory, mode, {});
}

void Servers::stop(const std::string& node) {
  const auto found = servers_.find(node);
  if (found == servers_.end()) return;
  auto& server = found->second;
  server.wanted = false;
  board_.log(node + ": stopping its server");
  const auto end = std::chrono::steady_clock::now() + kStopLimit;
  bool gone = postgres::stop_server(server.options.data_directory, postgres::ShutdownMode::fast,
                                    kStopLimit);
  // In its first moments it has no postmaster.pid to be found by, but we know our own child.
  if (gone && look(server) && server.child != 0) {
    ::kill(server.child, SIGINT);
    while (look(server) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    gone = !look(server);
  }
  if (!gone)
    throw Error(ErrorKind::busy, "the server of " + node + " does not stop")
        .with_hint("look into " + server.options.log.string());
  server.up = false;
}

void Servers::stop_all() {
  std::optional<Error> first;
  const auto stop_one = [&](const std::string& node) {
    try {
      stop(node);
    } catch (const Error& error) {
      if (!first) first = error;
    }
  };
  for (const auto& [node, server] : servers_)
    if (node != "primary") stop_one(node);
  stop_one("primary");
  if (first) throw *first;
}

bool Servers::running(const std::string& node) {
  const auto found = servers_.find(node);
  return found != servers_.end() && look(found->second);
}

bool Servers::wanted(const std::string& node) const {
  const auto found = servers_.find(node);
  return found != servers_.end() && found->second.wanted;
}

void Servers::tick() {
  for (auto& [node, server] : servers_) {
    if (!server.wanted || server.given_up) continue;
    if (look(server)) {
      server.up = true;
      if (!server.ready) {
        const auto pid = postgres::read_postmaster_pid(server.options.data_directory);
        if (pid && (pid->status == "ready" || pid->status == "standby")) {
          server.ready = true;
          server.failures = 0;
        }
      }
      continue;
    }
    if (server.up) died(node, server);
    if (!server.given_up && std::chrono::steady_clock::now() >= server.next_start)
      launch(node, server);
  }
}

std::optional<Error> Servers::gave_up(const std::string& node) const {
  const auto found = servers_.find(node);
  return found == servers_.end() ? std::nullopt : found->second.given_up;
}

void Servers::try_again() {
  for (auto& [node, server] : servers_) {
    if (!server.given_up) continue;
    server.given_up.reset();
    server.failures = 0;
    server.next_start = {};
  }
}

bool Servers::look(Server& server) const {
  if (server.child != 0) {
    // Its postmaster.pid is not there in its first moments, but as its parent we know better.
    const auto result = wait_for_child(server.child, nullptr, WNOHANG);
    if (result == 0) return true;
    if (result < 0 && errno == EINTR) return true;
    server.child = 0;
  }
  return postgres::is_running(server.options.data_directory);
}

void Servers::launch(const std::string& node, Server& server) {
  server.up = true;
  server.ready = false;
  try {
    server.child = postgres::start_server(server.options).release();
    board_.log(fmt::format("{}: started its server (pid {})", node, server.child));
  } catch (const Error& error) {
    board_.log(node + ": " + error.text());
  }
}

void Servers::died(const std::string& node, Server& server) {
  server.up = false;
  ++server.failures;
  if (server.failures >= kAttempts) {
    server.given_up =
        Error(ErrorKind::postgres, fmt::format("the server of {} cannot start ({} attempts): {}",
                                               node, kAttempts, why_it_ended(server.options.log)))
            .with_hint("its log is " + server.options.log.string());
    board_.log(server.given_up->text());
    return;
  }
  const auto delay = backoff_delay(kRestartDelay, server.failures, 0.5);
  server.next_start = std::chrono::steady_clock::now() + delay;
  board_.log(fmt::format("{}: its server died; starting it again in {} ms: {}", node, delay.count(),
                         last_lines(server.options.log)));
  board_.change([](SupervisorStatus& status) { ++status.restarts; });
  board_.flush();
}

std::string why_it_ended(const std::filesystem::path& log) {
  constexpr std::size_t kLooked = 200;
  std::string text;
  try {
    text = read_file_if_exists(log).value_or("");
  } catch (const Error& error) {
    return error.what();
  }
  const auto all = split(trim(text), '\n');
  const auto first = all.size() - std::min(kLooked, all.size());
  for (auto i = all.size(); i-- > first;) {
    if (all[i].find(" FATAL:  ") == std::string_view::npos &&
        all[i].find(" PANIC:  ") == std::string_view::npos)
      continue;
    // A session's, "user@database FATAL:": who came meanwhile, we among them, and was not let in.
    if (const auto fatal = all[i].find(" FATAL:  ");
        fatal != std::string_view::npos && all[i].substr(0, fatal).find('@') != std::string::npos)
      continue;
    auto result = shown(all[i], 400);
    for (auto next = i + 1; next < all.size() && next < i + 4; ++next)
      if (all[next].find(" HINT:  ") != std::string_view::npos)
        result += " | " + shown(all[next], 400);
    return result;
  }
  return last_lines(log);
}

std::string last_lines(const std::filesystem::path& log, std::size_t lines) {
  std::string text;
  try {
    text = read_file_if_exists(log).value_or("");
  } catch (const Error& error) {
    return error.what();
  }
  const auto all = split(trim(text), '\n');
  // With the beginning of a message that has several lines, which tells what has to be masked.
  auto first = all.size() - std::min(lines, all.size());
  while (first > 0 && all[first].starts_with('\t')) --first;
  std::string wanted;
  for (auto i = first; i < all.size(); ++i) wanted += all[i] + '\n';
  const auto masked = split(trim(postgres::LogMask().add(wanted)), '\n');
  std::string result;
  for (auto i = masked.size() - std::min(lines, masked.size()); i < masked.size(); ++i)
    result += (result.empty() ? "" : " | ") + printable(masked[i], 300);
  return result;
}

}  // namespace pgrevive::cluster
