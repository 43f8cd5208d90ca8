#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "postgres/binaries.h"
#include "postgres/connection.h"
#include "postgres/server.h"
#include "support/temp_dir.h"

namespace pgrevive::test {

// Whether `condition` came true within `limit`.
inline bool wait_until(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// A fresh PostgreSQL cluster of the newest installed version in a directory of its own, reached
// through a Unix socket there and nothing else. Runs as user postgres when the test runs as root.
// The server, if one was started, ends with the object.
class RealServer {
 public:
  explicit RealServer(const std::vector<std::string>& initdb_words = {}) {
    if (::geteuid() == 0) {
      identity_ = Identity::find("postgres");
      if (!identity_) throw Error(ErrorKind::system, "the test needs a user postgres to run as");
      if (::chown(directory_.path().c_str(), identity_->uid, identity_->gid) != 0) {
        throw system_error(errno, "chown");
      }
    }
    const auto version = postgres::newest_installed();
    if (!version) throw Error(ErrorKind::system, "the test needs a PostgreSQL server installed");
    binaries_ = postgres::find_binaries(*version);

    Command command;
    command.program = binaries_ / "initdb";
    command.arguments = {"-D",         data_directory().string(),
                         "-U",         "postgres",
                         "-A",         "trust",
                         "-N",         "--locale=C",
                         "--encoding", "UTF8",
                         "-k"};
    command.arguments.insert(command.arguments.end(), initdb_words.begin(), initdb_words.end());
    command.directory = directory_.path();
    command.identity = identity_;
    const auto output = run(command, {}, std::chrono::seconds(60));
    if (!output.status.ok()) throw Error(ErrorKind::postgres, "initdb: " + output.err);

    write("hba.conf", "local all all trust\n");
    configure("");
  }
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;
  ~RealServer() {
    // Before the ChildProcess kills the postmaster alone, which would leave its children behind.
    if (process_)
      postgres::stop_server(data_directory(), postgres::ShutdownMode::immediate, kLimit);
  }

  // Replaces the configuration; `more` is added to what every server of these tests has.
  void configure(const std::string& more) {
    write("server.conf", "listen_addresses = ''\nunix_socket_directories = '" +
                             directory_.path().string() + "'\nhba_file = '" +
                             (directory_ / "hba.conf").string() +
                             "'\nfsync = off\nshared_buffers = 16MB\n" + more);
  }
  void write(const std::string& name, const std::string& text) {
    write_file_atomic(directory_ / name, text, 0644);
  }

  void start() {
    process_ = postgres::start_server(options());
    const bool accepting = wait_until(
        [&] { return postgres::ping(connection()) == postgres::Readiness::accepting; }, kLimit);
    if (!accepting) throw Error(ErrorKind::postgres, "no server: " + log());
  }

  postgres::ServerOptions options() const {
    postgres::ServerOptions options;
    options.binaries = binaries_;
    options.data_directory = data_directory();
    options.config_file = directory_ / "server.conf";
    options.log = directory_ / "server.log";
    options.identity = identity_;
    return options;
  }
  postgres::ConnectionOptions connection() const {
    postgres::ConnectionOptions options;
    options.host = directory_.path().string();
    return options;
  }

  std::filesystem::path directory() const { return directory_.path(); }
  std::filesystem::path data_directory() const { return directory_ / "data"; }
  std::string log() const {
    return read_file_if_exists(directory_ / "server.log").value_or("(no log)");
  }
  ChildProcess& process() { return *process_; }
  const std::filesystem::path& binaries() const { return binaries_; }

  static constexpr std::chrono::seconds kLimit{20};

 private:
  TempDir directory_;
  std::optional<Identity> identity_;
  std::filesystem::path binaries_;
  std::optional<ChildProcess> process_;
};

}  // namespace pgrevive::test
