#include "stream/thread_clocks.h"

#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <stop_token>

namespace pgrevive::bench {

namespace {

using Seconds = ThreadClocks::Seconds;

constexpr std::chrono::milliseconds kBetweenLooks{50};

Seconds of_process() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Seconds sum(const std::map<std::string, Seconds>& threads) {
  return std::accumulate(threads.begin(), threads.end(), Seconds(0),
                         [](Seconds all, const auto& one) { return all + one.second; });
}

}  // namespace

ThreadClocks::ThreadClocks()
    : begin_(of_process()), looker_([this](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any nobody_tells;
        std::unique_lock lock(mutex);
        while (!nobody_tells.wait_for(lock, stop, kBetweenLooks,
                                      [&] { return stop.stop_requested(); })) {
          look();
        }
      }) {}

void ThreadClocks::look() {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    // One that ends meanwhile can be read no more, and keeps what was last seen.
    std::string name;
    std::int64_t nanoseconds = 0;
    if (!(std::ifstream(thread.path() / "comm") >> name) ||
        !(std::ifstream(thread.path() / "schedstat") >> nanoseconds)) {
      continue;
    }
    const auto id = thread.path().filename().string();
    if (name.starts_with("pgrevive-f")) fetchers_[id] = std::chrono::nanoseconds(nanoseconds);
    if (name.starts_with("pgrevive-w")) workers_[id] = std::chrono::nanoseconds(nanoseconds);
  }
}

ThreadClocks::Times ThreadClocks::stop() {
  looker_.request_stop();
  looker_.join();
  Times times{.fetchers = sum(fetchers_), .workers = sum(workers_)};
  times.others = of_process() - begin_ - times.fetchers - times.workers;
  return times;
}

}  // namespace pgrevive::bench
