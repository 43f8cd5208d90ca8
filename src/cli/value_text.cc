#include "cli/value_text.h"

#include <algorithm>
#include <array>
#include <limits>

#include <arpa/inet.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where the leading digits end.
std::size_t digits_end(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
}

}  // namespace

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string word = lower(text);
  for (const char* yes : {"y", "yes", "true", "on", "1"}) {
    if (word == yes) return true;
  }
  for (const char* no : {"n", "no", "false", "off", "0"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_backrest_size(std::string_view text) {
  const std::string word = lower(text);
  const std::size_t end = digits_end(word);
  const auto number = parse_unsigned(std::string_view(word).substr(0, end));
  if (!number) return std::nullopt;

  const std::string unit = word.substr(end);
  if (unit.empty() || unit == "b") return number;
  const std::size_t power = std::string_view("kmgtp").find(unit[0]);
  if (power == std::string_view::npos) return std::nullopt;
  const std::string rest = unit.substr(1);
  if (!rest.empty() && rest != "b" && rest != "ib") return std::nullopt;
  const unsigned shift = 10 * (static_cast<unsigned>(power) + 1);
  if (*number > (std::numeric_limits<std::uint64_t>::max() >> shift)) return std::nullopt;
  return *number << shift;
}

std::optional<std::chrono::milliseconds> parse_backrest_time(std::string_view text) {
  const std::string word = lower(text);
  const std::size_t end = digits_end(word);
  const auto number = parse_unsigned(std::string_view(word).substr(0, end));
  if (!number || *number > 10'000'000'000) return std::nullopt;

  std::string unit = word.substr(end);
  std::uint64_t fraction_ms = 0;
  if (unit.starts_with('.')) {  // old configurations have decimal seconds
    const auto digits = parse_unsigned(std::string_view(unit).substr(1));
    if (!digits || unit.size() > 4) return std::nullopt;
    fraction_ms = *digits * (unit.size() == 2 ? 100 : unit.size() == 3 ? 10 : 1);
    unit.clear();
  }
  struct Unit {
    std::string_view name;
    std::uint64_t milliseconds;
  };
  static constexpr std::array<Unit, 7> kUnits{{{"", 1000},
                                               {"ms", 1},
                                               {"s", 1000},
                                               {"m", 60'000},
                                               {"h", 3'600'000},
                                               {"d", 86'400'000},
                                               {"w", 604'800'000}}};
  for (const Unit& known : kUnits) {
    if (unit == known.name) {
      return std::chrono::milliseconds(
          static_cast<std::int64_t>(*number * known.milliseconds + fraction_ms));
    }
  }
  return std::nullopt;
}

bool is_postgres_size(std::string_view text) {
  const std::size_t end = digits_end(text);
  if (end == 0 || end > 15) return false;
  const std::string_view unit = trim(text.substr(end));
  return unit == "B" || unit == "kB" || unit == "MB" || unit == "GB" || unit == "TB";
}

bool is_placeholder(std::string_view text) {
  const std::string word = lower(text);
  if (word.size() > 2 && word.front() == '<' && word.back() == '>') return true;
  for (const char* start : {"changeme", "change-me", "change_me", "replaceme", "replace-me",
                            "replace_me", "placeholder", "todo"}) {
    if (word.starts_with(start)) return true;
  }
  // "your-bucket", "s3.your-region.amazonaws.com", "https://your-endpoint"
  for (const char* part : {"your-", "your_"}) {
    const std::size_t at = word.find(part);
    if (at != std::string::npos && (at == 0 || word[at - 1] == '.' || word[at - 1] == '/')) {
      return true;
    }
  }
  return word.size() >= 3 && std::ranges::all_of(word, [](char c) { return c == 'x'; });
}

std::optional<std::string> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::uint64_t longest = 0;
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    longest = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
    longest = 128;
  } else {
    return std::nullopt;
  }
  if (slash == std::string_view::npos) return address + "/" + std::to_string(longest);
  const auto length = parse_unsigned(text.substr(slash + 1));
  if (!length || *length > longest) return std::nullopt;
  return address + "/" + std::to_string(*length);
}

std::optional<int> parse_port(std::string_view text) {
  const auto number = parse_unsigned(text);
  if (!number || *number == 0 || *number > 65535) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace pgrevive::cli
