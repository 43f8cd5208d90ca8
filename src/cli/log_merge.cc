#include "cli/log_merge.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "postgres/log_passwords.h"

namespace pgrevive::cli {
namespace {

constexpr std::string_view kTimeShape = "dddd-dd-dd dd:dd:dd";

// The time a line begins with, as text that orders by time; empty if it begins with none.
std::string_view time_of(std::string_view line) {
  if (line.size() < kTimeShape.size()) return {};
  for (std::size_t i = 0; i < kTimeShape.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (kTimeShape[i] == 'd' ? !digit : line[i] != kTimeShape[i]) return {};
  }
  std::size_t end = kTimeShape.size();
  if (end < line.size() && line[end] == '.') {
    ++end;
    while (end < line.size() && line[end] >= '0' && line[end] <= '9') ++end;
  }
  return line.substr(0, end);
}

struct Line {
  std::string_view time;
  std::string_view prefix;
  std::string_view text;
};

}  // namespace

std::string prefixed(std::string_view prefix, std::size_t width, std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return fmt::format("{:<{}} | {}\n", prefix, width, postgres::without_passwords(line));
}

std::string_view last_lines(std::string_view text, std::size_t lines) {
  if (lines == 0) return {};
  std::size_t at = text.size();
  if (text.ends_with('\n')) --at;
  while (at > 0) {
    const std::size_t newline = text.rfind('\n', at - 1);
    if (newline == std::string_view::npos) return text;
    if (--lines == 0) return text.substr(newline + 1);
    at = newline;
  }
  return text;
}

std::string merge_logs(const std::vector<LogText>& logs, std::size_t lines) {
  std::vector<Line> all;
  std::size_t width = 0;
  for (const LogText& log : logs) {
    width = std::max(width, log.prefix.size());
    std::string_view time;
    std::string_view rest = log.text;
    while (!rest.empty()) {
      const std::size_t newline = rest.find('\n');
      const std::string_view text = rest.substr(0, newline);
      rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
      // A clock that was set back must not pull lines of one log out of their order.
      if (const std::string_view own = time_of(text); own > time) time = own;
      all.push_back({time, log.prefix, text});
    }
  }
  std::ranges::stable_sort(all, {}, &Line::time);
  const std::size_t skip = all.size() > lines ? all.size() - lines : 0;
  std::string out;
  for (std::size_t i = skip; i < all.size(); ++i)
    out += prefixed(all[i].prefix, width, all[i].text);
  return out;
}

}  // namespace pgrevive::cli
