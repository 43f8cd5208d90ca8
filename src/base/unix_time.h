#pragma once

#include <cstdint>

namespace pgrevive {

// The first second that none of our times may be: the beginning of 2200. std::chrono's system clock
// ends in 2262, and a computation beyond that is no computation, while foreign bytes may say any
// number.
inline constexpr std::int64_t kUnixTimeEnd = 7'258'118'400;

// Whether Unix seconds may become a time of the system clock.
constexpr bool is_unix_time(std::int64_t seconds) { return seconds >= 0 && seconds < kUnixTimeEnd; }

// Whether a calendar's year has such seconds.
constexpr bool is_unix_year(int year) { return year >= 1970 && year < 2200; }

}  // namespace pgrevive
