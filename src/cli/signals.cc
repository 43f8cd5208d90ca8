#include "cli/signals.h"

#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>

#include <pthread.h>
#include <unistd.h>

namespace pgrevive::cli {
namespace {

sigset_t stopping_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

StopOnSignal::StopOnSignal() {
  const sigset_t set = stopping_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::jthread([this, set](const std::stop_token& end) {
    const timespec tick{0, 50'000'000};
    while (!end.stop_requested()) {
      const int signal = sigtimedwait(&set, nullptr, &tick);
      if (signal < 0) continue;
      if (source_.stop_requested()) _exit(128 + signal);
      source_.request_stop();
    }
  });
}

StopOnSignal::~StopOnSignal() {
  waiter_.request_stop();
  waiter_.join();
  const sigset_t set = stopping_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool StopOnSignal::wait_for(std::chrono::milliseconds time) const {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, token(), time, [] { return false; });
  return !source_.stop_requested();
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

void end_on_signals_as_first_process() {
  if (::getpid() != 1) return;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, [](int got) { ::_exit(128 + got); });
}

}  // namespace pgrevive::cli
