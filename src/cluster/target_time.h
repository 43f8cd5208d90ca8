#pragma once

#include <cstdint>
#include <string>

#include "restore/recovery.h"

namespace pgrevive::cluster {

// A time without a zone is one of whoever gives it. Throws Error{usage} where his zone is not
// known: in our image, whose own clock shows UTC, as long as TZ does not say it.
void require_zone();

// A recovery target as Unix seconds: "2026-11-22 14:05:00+00", with 'T' for the blank, fractions
// and "Z", "+0130" or "-03:30" too; without a zone it is a time of this host. Throws Error{usage},
// also for a day that no calendar has, a year before 1970 or after 2199, a time that this host's
// clocks skipped or showed twice, and where require_zone() does.
std::int64_t parse_target_time(const std::string& text);
// The same in microseconds, which is what the server compares.
std::int64_t parse_target_microseconds(const std::string& text);

// Whether PostgreSQL ends recovery to `target`, which is `time`, at a transaction that ended then
// (both in microseconds): at the first one after the target; exclusive: at it or after.
bool ends_recovery(const restore::RecoveryTarget& target, std::int64_t transaction,
                   std::int64_t time);

// Whether it is written so, be it a time or none.
bool is_plain_time(const std::string& text);

// The same target for recovery_target_time, with its zone written out: the server would take a time
// without one as a time of the source's zone.
std::string with_zone(const std::string& text);
// Any target; one that is no time stays as it is.
restore::RecoveryTarget with_zone(restore::RecoveryTarget target);

}  // namespace pgrevive::cluster
