#pragma once

#include <chrono>
#include <cstddef>

namespace pgrevive::cli {

struct Terminal {
  bool interactive = false;  // a person looks at it, and it can redraw a line
  std::size_t width = 80;
  std::size_t height = 24;
};
// Where somebody passes our output on to a terminal, as Docker's client does, PGREVIVE_TERMINAL says
// how large that is: "80x24".
Terminal stdout_terminal();

std::chrono::milliseconds unix_now();

}  // namespace pgrevive::cli
