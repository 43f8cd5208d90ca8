#include "cluster/status_board.h"

#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {

StatusBoard::StatusBoard(StateDirectory directory, SupervisorStatus first)
    : directory_(std::move(directory)), state_(State{std::move(first), {}}) {}

void StatusBoard::enter(Phase phase) {
  {
    auto state = state_.lock();
    auto& status = state->status;
    if (!status.phases.empty() && status.phase == phase && status.phases.back().ended_ms == 0)
      return;
    const auto time = unix_milliseconds();
    if (!status.phases.empty() && status.phases.back().ended_ms == 0)
      status.phases.back().ended_ms = time;
    status.phase = phase;
    status.phases.push_back({.phase = phase, .began_ms = time});
    write(*state);
  }
  log("phase " + std::string(name(phase)));
}

void StatusBoard::change(const std::function<void(SupervisorStatus&)>& change) {
  auto state = state_.lock();
  change(state->status);
  if (std::chrono::steady_clock::now() - state->written >= std::chrono::milliseconds(200))
    write(*state);
}

void StatusBoard::warn(const Notice& notice) {
  {
    auto state = state_.lock();
    auto& notices = state->status.notices;
    if (std::ranges::find(notices, notice.text, &Notice::text) != notices.end()) return;
    notices.push_back(notice);
    write(*state);
  }
  log("warning: " + notice.text);
}

void StatusBoard::log(const std::string& text) {
  const auto line = format_time(std::chrono::system_clock::now()) + " " + text + "\n";
  std::fputs(line.c_str(), stderr);
}

void StatusBoard::flush() {
  auto state = state_.lock();
  write(*state);
}

SupervisorStatus StatusBoard::status() { return state_.lock()->status; }

void StatusBoard::write(State& state) {
  // Under the lock, so that an older text never replaces a newer one. Not synced: a sync would wait
  // for the restore's own writes, and after a power cut nobody needs this file.
  try {
    replace_file(directory_.status(), to_json(state.status), 0644);
  } catch (const std::exception& error) {
    // A full disk must not take a running cluster down because nobody can be told about it.
    log(std::string("warning: the status could not be written: ") + error.what());
  }
  state.written = std::chrono::steady_clock::now();
}

std::int64_t unix_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace pgrevive::cluster
