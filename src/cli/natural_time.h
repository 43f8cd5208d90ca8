#pragma once

#include <chrono>
#include <string>

// Times as people write them.
namespace pgrevive::cli {

// What PostgreSQL takes, for example "2026-11-22 17:05:00+00", for
//
//   2026-11-22 14:05 America/Sao_Paulo     a zone of the tz database; also Z, UTC, -03, +05:30
//   today 14:05, yesterday 23:00 UTC       also hoje, ontem
//   10 minutes ago, now                    also 10 minutos atrás, há 10 minutos, agora
//   90 s before yesterday 14:05            also 90 s antes de ontem 14:05
//
// Units: seconds, minutes, hours, days and their first letters, and the Portuguese words. Without a
// zone a time is one of this host. What is a plain time already comes back as it is.
//
// Throws Error{usage} with examples, also for a local time that the clock skipped or showed twice.
std::string natural_time(const std::string& text, std::chrono::system_clock::time_point now);

// Whether the words mean another moment each time they are read.
bool is_relative_time(const std::string& text);

}  // namespace pgrevive::cli
