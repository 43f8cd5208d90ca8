#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace pgrevive::cli {

// Formatted text to standard output or error. Unlike fmt::print they never throw: that nobody reads
// any more is no reason to leave work half done.
inline void write_to(std::FILE* stream, const std::string& text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}
template <typename... Arguments>
void out(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_to(stdout, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void err(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_to(stderr, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace pgrevive::cli
