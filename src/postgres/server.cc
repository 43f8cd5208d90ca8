#include "postgres/server.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

fs::path proc(pid_t pid, const char* name) {
  return fs::path("/proc") / std::to_string(pid) / name;
}

bool is_postgres(std::string_view name) { return name == "postgres" || name == "postmaster"; }

// Whether `pid` is a server on that directory. Where the system does not show us what it works on
// (another user's process), a name that fits is enough: the answer "runs" does no damage.
bool serves(pid_t pid, const fs::path& data_directory) {
  std::error_code error;
  auto program = fs::read_symlink(proc(pid, "exe"), error).filename().string();
  // An upgrade replaces the program under a server that runs.
  if (program.ends_with(" (deleted)")) program.resize(program.size() - 10);
  if (error || !is_postgres(program)) {
    try {
      const auto name = read_file_if_exists(proc(pid, "comm"));
      if (!name || !is_postgres(trim(*name))) return false;
    } catch (const Error&) {
      return false;
    }
  }
  struct stat working {};
  struct stat data {};
  if (::stat(data_directory.c_str(), &data) != 0) return false;
  if (::stat(proc(pid, "cwd").c_str(), &working) != 0) return errno != ENOENT;
  return working.st_dev == data.st_dev && working.st_ino == data.st_ino;
}

// The pid of the server that runs on the directory.
std::optional<pid_t> running_pid(const fs::path& data_directory) {
  const auto file = read_postmaster_pid(data_directory);
  if (!file || !is_alive(file->pid) || !serves(file->pid, data_directory)) return std::nullopt;
  return file->pid;
}

// False if it has ended meanwhile.
bool send_signal(pid_t pid, int signal, const fs::path& data_directory) {
  if (::kill(pid, signal) == 0) return true;
  if (errno == ESRCH) return false;
  throw system_error(errno, fmt::format("cannot signal the server on {} (process {})",
                                        data_directory.string(), pid))
      .with_hint("run this as root or as the user the server runs as");
}

}  // namespace

int signal_of(ShutdownMode mode) {
  switch (mode) {
    case ShutdownMode::smart:
      return SIGTERM;
    case ShutdownMode::fast:
      return SIGINT;
    case ShutdownMode::immediate:
      break;
  }
  return SIGQUIT;
}

std::optional<PostmasterPid> read_postmaster_pid(const fs::path& data_directory) {
  const auto text = read_file_if_exists(data_directory / "postmaster.pid");
  if (!text) return std::nullopt;
  // pid, data directory, start time, port, directory of the socket, listen address, shared memory,
  // status. The postmaster writes the first five at once, the others as it gets to them.
  auto lines = split(*text, '\n');
  if (lines.size() < 6) return std::nullopt;  // the fifth has its line end
  lines.resize(std::max<std::size_t>(lines.size(), 8));
  std::string_view pid_text = lines[0];
  if (pid_text.starts_with('-')) pid_text.remove_prefix(1);  // a single-user server
  const auto pid = parse_unsigned(trim(pid_text));
  const auto start_time = parse_unsigned(trim(lines[2]));
  const auto port = parse_unsigned(trim(lines[3]));
  if (!pid || *pid == 0 || *pid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  if (!start_time || *start_time > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  if (!port || *port > 65535) return std::nullopt;

  PostmasterPid result;
  result.pid = static_cast<pid_t>(*pid);
  result.data_directory = lines[1];
  result.start_time = static_cast<std::int64_t>(*start_time);
  result.port = static_cast<int>(*port);
  result.socket_directory = lines[4];
  result.status = std::string(trim(lines[7]));
  return result;
}

bool is_running(const fs::path& data_directory) { return running_pid(data_directory).has_value(); }

ChildProcess start_server(const ServerOptions& options) {
  if (::geteuid() == 0 && (!options.identity || options.identity->uid == 0)) {
    throw Error(ErrorKind::usage, "PostgreSQL does not run as root")
        .with_hint("name the user it shall run as, usually postgres");
  }
  Command command;
  command.program = options.binaries / "postgres";
  command.arguments = {"-D", options.data_directory.string(),
                       "--config-file=" + options.config_file.string()};
  // Older majors insist on being able to read the directory they are started in.
  command.directory = options.data_directory;
  command.log = options.log;
  command.identity = options.identity;
  command.detach = true;
  return while_doing("starting PostgreSQL on " + options.data_directory.string(),
                     [&] { return ChildProcess::start(command); });
}

bool stop_server(const fs::path& data_directory, ShutdownMode mode,
                 std::chrono::milliseconds limit) {
  const auto pid = running_pid(data_directory);
  if (!pid) return true;
  if (!send_signal(*pid, signal_of(mode), data_directory)) return true;
  const auto deadline = Clock::now() + limit;
  // A small server is gone in some tens of milliseconds, a large one writes its checkpoint for
  // minutes.
  auto pause = std::chrono::milliseconds(5);
  while (is_alive(*pid)) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(100));
  }
  return true;
}

void reload_server(const fs::path& data_directory) {
  const auto pid = running_pid(data_directory);
  if (!pid || !send_signal(*pid, SIGHUP, data_directory)) {
    throw Error(ErrorKind::postgres,
                fmt::format("no PostgreSQL server runs on {}", data_directory.string()));
  }
}

}  // namespace pgrevive::postgres
