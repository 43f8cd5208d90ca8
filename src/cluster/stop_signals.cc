#include "cluster/stop_signals.h"

#include <ctime>

namespace pgrevive::cluster {

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  thread_ = std::jthread([this](const std::stop_token& end) { wait(end); });
}

void StopSignals::wait(const std::stop_token& end) {
  while (!end.stop_requested()) {
    const timespec limit{.tv_sec = 0, .tv_nsec = 100'000'000};
    const int signal = ::sigtimedwait(&signals_, nullptr, &limit);
    if (signal == SIGHUP) try_again_ = true;
    if (signal != SIGTERM && signal != SIGINT && signal != SIGQUIT) continue;
    last_ = signal;
    stop_.request_stop();
  }
}

}  // namespace pgrevive::cluster
