#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/child_process.h"

namespace pgrevive::postgres {

// The first lines of a data directory's postmaster.pid.
struct PostmasterPid {
  pid_t pid = 0;
  std::string data_directory;
  std::int64_t start_time = 0;  // Unix seconds
  int port = 0;
  std::string socket_directory;
  std::string status;  // "ready", "standby", "starting", "stopping"; empty before PostgreSQL 10
};
// Empty where there is no such file or it is not whole.
std::optional<PostmasterPid> read_postmaster_pid(const std::filesystem::path& data_directory);

// Whether a server runs on `data_directory`: its postmaster.pid names a live process that is a
// postgres (a pid may have been given to something else since) with that working directory. A
// process whose working directory we may not see counts as one; a zombie does not.
bool is_running(const std::filesystem::path& data_directory);

struct ServerOptions {
  std::filesystem::path binaries;
  std::filesystem::path data_directory;
  std::filesystem::path config_file;  // outside the data directory; names hba_file and ident_file
  std::filesystem::path log;          // the server's output until its own logging takes over
  std::optional<Identity> identity;   // the user to run as, when we are root
};

// Starts `postgres` itself (not pg_ctl), in a session of its own so that a terminal's signals do
// not reach it. Returns its process; owning it is the caller's choice (ChildProcess::release).
// Throws Error{usage} where it would run as root.
ChildProcess start_server(const ServerOptions& options);

enum class ShutdownMode { smart, fast, immediate };
// What a postmaster is sent for it.
int signal_of(ShutdownMode mode);
// Asks the postmaster of `data_directory` to stop and waits until it is gone. False if it still
// runs when `limit` is over. True where none runs. A server that is a child of this process is not
// reaped here: that is for the owner of its ChildProcess, or for whoever released it.
bool stop_server(const std::filesystem::path& data_directory, ShutdownMode mode,
                 std::chrono::milliseconds limit);
// Has it read its configuration again (SIGHUP). Throws Error{postgres} where none runs.
void reload_server(const std::filesystem::path& data_directory);

}  // namespace pgrevive::postgres
