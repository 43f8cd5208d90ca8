#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Several logs as one: what `logs` shows. Pure.
namespace pgrevive::cli {

struct LogText {
  std::string prefix;  // "primary"
  std::string text;    // whole lines
};

// The last `lines` lines of all logs together in the order of the times they begin with
// ("2026-11-22 14:05:09.123"); a line without a time stays behind the one before it. Lines of one
// log keep their order. Each gets its log's prefix, padded so that the bars stand below each other.
std::string merge_logs(const std::vector<LogText>& logs, std::size_t lines);

// One line with its prefix and without passwords: "primary  | text\n". `width` is that of the
// longest prefix.
std::string prefixed(std::string_view prefix, std::size_t width, std::string_view line);

// The last `lines` lines of a text.
std::string_view last_lines(std::string_view text, std::size_t lines);

}  // namespace pgrevive::cli
