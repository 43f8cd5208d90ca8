#include "cluster/side_process.h"

#include <algorithm>
#include <csignal>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/notices.h"
#include "cluster/servers.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::seconds kFirstDelay{5};
constexpr std::chrono::seconds kLongestDelay{5 * 60};
constexpr std::chrono::minutes kSteady{10};  // who lived that long died of something new
constexpr int kDeathsToTell = 3;
constexpr std::chrono::seconds kStopLimit{5};

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

std::chrono::seconds restart_delay(int deaths) {
  auto delay = kFirstDelay;
  for (int i = 1; i < deaths && delay < kLongestDelay; ++i) delay *= 2;
  return std::min(delay, kLongestDelay);
}

void SideProcess::start(const Command& command) {
  stop_side_process(program_);
  command_ = command;
  deaths_ = 0;
  launch();
}

void SideProcess::tick() {
  if (!command_ || (child_ && !child_->wait_for(std::chrono::milliseconds(0)))) return;
  if (child_) died();
  if (std::chrono::steady_clock::now() >= next_start_) launch();
}

void SideProcess::died() {
  const auto time = std::chrono::steady_clock::now();
  if (time - launched_ >= kSteady) deaths_ = 0;
  ++deaths_;
  next_start_ = time + restart_delay(deaths_);
  board_.log(program_.name + " died (" + child_->wait().text() + ")");
  child_.reset();
  if (deaths_ == kDeathsToTell)
    board_.warn(notice("program_dies", program_.name, last_lines(command_->log, 1)));
}

void SideProcess::stop() {
  command_.reset();
  if (!child_) return;
  child_->send(SIGTERM);
  child_->wait_for(kStopLimit);
  child_.reset();  // kills one that is still there
  std::error_code ignored;
  std::filesystem::remove(program_.pid_file, ignored);
}

void SideProcess::leave() {
  command_.reset();
  if (child_) child_->release();
  child_.reset();
}

void SideProcess::launch() {
  launched_ = std::chrono::steady_clock::now();
  try {
    child_ = ChildProcess::start(*command_);
    write_file_atomic(program_.pid_file, std::to_string(child_->pid()));
  } catch (const Error& error) {
    // Nobody would find one without a pid file.
    child_.reset();
    board_.warn(notice("program_does_not_start", program_.name, error.what()));
    next_start_ = launched_ + restart_delay(++deaths_);
  }
}

std::optional<pid_t> find_side_process(const SideProgram& program) {
  const auto text = read_file_if_exists(program.pid_file);
  const auto pid = text ? parse_unsigned(trim(*text)) : std::nullopt;
  if (!pid || !is_marked(static_cast<pid_t>(*pid), program.mark)) return {};
  return static_cast<pid_t>(*pid);
}

bool stop_side_process(const SideProgram& program, std::chrono::milliseconds limit) {
  const auto pid = find_side_process(program);
  if (!pid) return false;
  ::kill(*pid, SIGTERM);
  // Not before the process itself is gone is its port free.
  if (wait_for_end(*pid, limit)) return true;
  ::kill(*pid, SIGKILL);
  wait_for_end(*pid, kStopLimit);
  return true;
}

}  // namespace pgrevive::cluster
