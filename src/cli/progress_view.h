#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cluster/progress.h"
#include "cluster/rates.h"
#include "restore/observer.h"

namespace pgrevive::cli {

// "[########------------]  41 %  512 MB of 1.2 GB  1204/2930 files  180 MB/s  4 s left", cut to
// `width` columns; without the bar where `width` is 0.
std::string progress_line(const restore::Progress& progress, const cluster::Rates& rates,
                          std::size_t width);

// How far the phase is that is under way, in one line; empty where it has no numbers. `width` as
// above.
std::string phase_detail(const cluster::SupervisorStatus& status, const cluster::Rates& rates,
                         std::size_t width);

// Turns what a supervisor writes about itself, look by look, into what a person reads: on a
// terminal each phase is one line that is redrawn until the phase is over, elsewhere plain lines,
// one when a phase begins and ends and one about every five seconds between.
class ProgressView {
 public:
  enum class Output { terminal, plain };
  ProgressView(Output output, std::size_t width) : output_(output), width_(width) {}

  // What to print now; empty if there is nothing new. `now` is Unix time.
  std::string update(const cluster::SupervisorStatus& status, std::chrono::milliseconds now);

  // Ends a line that was left open, so that other text can follow.
  std::string close();

 private:
  Output output_;
  std::size_t width_;
  cluster::RateMeter meter_;
  std::size_t phases_told_ = 0;  // that are over and have their last line
  std::optional<cluster::Phase> open_;
  std::size_t notices_told_ = 0;
  std::chrono::milliseconds last_line_{0};
  std::string drawn_;  // the line that stands unfinished on the terminal
};

// What a phase is called when it is under way: "recovering".
std::string_view title(cluster::Phase phase);

}  // namespace pgrevive::cli
