#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgrevive {

std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);  // keeps empty parts

// Of letters in ASCII alone: bytes beyond stay as they are.
std::string lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

// A decimal integer that fills the whole text; empty otherwise, on overflow too.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);

// "1.4 GB", "12.7 kB": three significant digits at most, powers of 1000.
std::string format_bytes(std::uint64_t bytes);
// "3.2 s", "4 min 05 s", "2 h 10 min".
std::string format_duration(std::chrono::milliseconds time);
// "2026-11-22 14:05:09+00", in UTC as PostgreSQL writes it.
std::string format_time(std::chrono::system_clock::time_point time);

// `text` with what could break a terminal or a log line (control characters, invalid UTF-8) shown
// as \xNN. A result longer than `most` bytes is cut between characters and ends in "...".
std::string printable(std::string_view text, std::size_t most = 200);

// Whether every part of `path` between slashes is a plain name: none is empty, "." or "..", and
// there is no NUL. So it is not absolute, and joined to a directory it stays inside of it.
bool is_plain_path(std::string_view path);

// The closest of `known` to `word` if it is close enough to be a slip of the finger (upper and
// lower case count as equal); else empty.
std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& known);

}  // namespace pgrevive
