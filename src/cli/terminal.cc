#include "cli/terminal.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

constexpr std::size_t kNarrowest = 40;
constexpr std::size_t kWidest = 200;

std::optional<Terminal> terminal_of_others() {
  const char* size = std::getenv("PGREVIVE_TERMINAL");
  const auto parts = split(size != nullptr ? size : "", 'x');
  if (parts.size() != 2) return {};
  const auto width = parse_unsigned(parts[0]);
  const auto height = parse_unsigned(parts[1]);
  if (!width || !height || *height == 0) return {};
  return Terminal{.interactive = true,
                  .width = std::clamp<std::size_t>(*width, kNarrowest, kWidest),
                  .height = *height};
}

}  // namespace

Terminal stdout_terminal() {
  if (const auto others = terminal_of_others()) return *others;
  Terminal terminal;
  const char* kind = std::getenv("TERM");
  terminal.interactive =
      isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
  winsize size{};
  if (terminal.interactive && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = std::clamp<std::size_t>(size.ws_col, kNarrowest, kWidest);
    if (size.ws_row > 0) terminal.height = size.ws_row;
  }
  return terminal;
}

std::chrono::milliseconds unix_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace pgrevive::cli
