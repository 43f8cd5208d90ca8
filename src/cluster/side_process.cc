#include "cluster/side_process.h"

#include <csignal>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::seconds kRestartDelay{5};

bool is_marked(pid_t pid, const std::string& mark) {
  const auto path = std::filesystem::path("/proc") / std::to_string(pid) / "cmdline";
  try {
    const auto text = read_file_if_exists(path);
    return text && text->find(mark) != std::string::npos;
  } catch (const Error&) {
    return false;  // gone while we looked
  }
}

}  // namespace

void SideProcess::start(const Command& command) {
  stop_side_process(program_);
  command_ = command;
  launch();
}

void SideProcess::tick() {
  if (!command_ || (child_ && !child_->wait_for(std::chrono::milliseconds(0)))) return;
  const auto time = std::chrono::steady_clock::now();
  if (child_) {
    board_.log(program_.name + " died");
    child_.reset();
    next_start_ = time + kRestartDelay;
  }
  if (time >= next_start_) launch();
}

void SideProcess::stop() {
  command_.reset();
  if (!child_) return;
  child_->send(SIGTERM);
  child_->wait_for(std::chrono::seconds(5));
  child_.reset();
  std::error_code ignored;
  std::filesystem::remove(program_.pid_file, ignored);
}

void SideProcess::leave() {
  command_.reset();
  if (child_) child_->release();
  child_.reset();
}

void SideProcess::launch() {
  try {
    child_ = ChildProcess::start(*command_);
    write_file_atomic(program_.pid_file, std::to_string(child_->pid()));
  } catch (const Error& error) {
    board_.warn(program_.name + " does not start: " + std::string(error.what()));
    next_start_ = std::chrono::steady_clock::now() + kRestartDelay;
  }
}

std::optional<pid_t> find_side_process(const SideProgram& program) {
  const auto text = read_file_if_exists(program.pid_file);
  const auto pid = text ? parse_unsigned(trim(*text)) : std::nullopt;
  if (!pid || !is_marked(static_cast<pid_t>(*pid), program.mark)) return {};
  return static_cast<pid_t>(*pid);
}

bool stop_side_process(const SideProgram& program) {
  const auto pid = find_side_process(program);
  if (!pid) return false;
  ::kill(*pid, SIGTERM);
  // Not before the process itself is gone is its port free.
  wait_for_end(*pid, std::chrono::seconds(5));
  return true;
}

}  // namespace pgrevive::cluster
