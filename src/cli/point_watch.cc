#include "cli/point_watch.h"

#include <chrono>
#include <memory>

#include "cli/print.h"

namespace pgrevive::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFirst{2};
constexpr std::chrono::seconds kEvery{10};

}  // namespace

cluster::PointWatch watch_search(std::stop_token stop) {
  auto next = std::make_shared<Clock::time_point>(Clock::now() + kFirst);
  return {.stop = std::move(stop), .progress = [next](std::uint64_t read, std::uint64_t most) {
            const auto now = Clock::now();
            if (now < *next) return;
            *next = now + kEvery;
            err("looking for the target in the WAL archive: {} segments read{}\n", read,
                most > read ? fmt::format(", at most {} to go", most - read) : "");
          }};
}

}  // namespace pgrevive::cli
