#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "console/lag_history.h"

namespace pgrevive::cli {

// How far a replica was behind in the quarter of an hour up to `now_ms` (Unix), a character for
// each minute of the clock, as high as its greatest lag in bytes is beside the greatest of all, and a
// blank where nothing is known; then the greatest lags: "▁▁▃█▁▁  at most 1.2 MB, 3.4 s in 15 min".
// Without `blocks`, for a terminal that has no such characters, only those. Empty where nothing at
// all is known. Pure.
std::string lag_line(const std::vector<console::LagSample>& samples, const std::string& node,
                     std::int64_t now_ms, bool blocks);

// Whether the environment's locale (LC_ALL, LC_CTYPE, LANG) is one of UTF-8.
bool utf8_locale();

}  // namespace pgrevive::cli
