#include "cluster/target_time.h"

#include <cstdlib>
#include <ctime>
#include <regex>

#include <fmt/format.h>

#include "base/error.h"
#include "base/image.h"
#include "base/text.h"
#include "base/unix_time.h"

namespace pgrevive::cluster {
namespace {

struct Parsed {
  std::tm fields{};
  bool zoned = false;
  long offset = 0;  // seconds east of Greenwich
  std::int64_t microseconds = 0;
};

const std::regex& form() {
  static const std::regex kTime(
      R"(\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?\s*)"
      R"((?:(Z|UTC|GMT)|([+-])(\d{1,2}):?(\d{2})?)?\s*)",
      std::regex::icase);
  return kTime;
}

Parsed parse(const std::string& text) {
  std::smatch match;
  const auto number = [&](std::size_t group) {
    return match[group].matched ? std::stoi(match[group].str()) : 0;
  };
  if (!std::regex_match(text, match, form()) || number(2) < 1 || number(2) > 12 || number(3) < 1 ||
      number(3) > 31 || number(4) > 23 || number(5) > 59 || number(6) > 60)
    throw Error(ErrorKind::usage, "'" + printable(text, 60) + "' is not a time")
        .with_hint("write it as 2026-11-22 14:05:00+00");
  if (!is_unix_year(number(1)))
    throw Error(ErrorKind::usage, fmt::format("{}-{}-{} is not between 1970 and 2199",
                                              match[1].str(), match[2].str(), match[3].str()));
  Parsed parsed;
  parsed.fields.tm_year = number(1) - 1900;
  parsed.fields.tm_mon = number(2) - 1;
  parsed.fields.tm_mday = number(3);
  // timegm() makes the 3rd of March of the 31st of February.
  auto day = parsed.fields;
  ::timegm(&day);
  if (day.tm_mday != parsed.fields.tm_mday)
    throw Error(ErrorKind::usage, fmt::format("there is no day {}-{}-{}", match[1].str(),
                                              match[2].str(), match[3].str()));
  parsed.fields.tm_hour = number(4);
  parsed.fields.tm_min = number(5);
  parsed.fields.tm_sec = number(6);
  if (match[7].matched) {
    auto digits = match[7].str();
    digits.resize(6, '0');
    parsed.microseconds = std::stoll(digits);
  }
  parsed.zoned = match[8].matched || match[9].matched;
  if (match[9].matched)
    parsed.offset = (match[9] == "-" ? -1 : 1) * (number(10) * 3600L + number(11) * 60L);
  return parsed;
}

// Of this host's clocks, in seconds east of Greenwich.
long offset_at(std::time_t time) {
  std::tm local{};
  ::localtime_r(&time, &local);
  return local.tm_gmtoff;
}

std::string offset_text(long offset) {
  const auto minutes = std::abs(offset) / 60;
  return fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

// The one moment at which the clocks of this host showed that. mktime() makes one up where there is
// none, and takes any of two.
std::int64_t local_moment(const std::string& text, std::int64_t shown) {
  constexpr std::int64_t kDay = 86400;
  ::tzset();
  // A change of the clocks lies between these, if there is one near.
  const auto before = offset_at(shown - kDay);
  const auto after = offset_at(shown + kDay);
  const bool first = offset_at(shown - before) == before;
  const bool second = offset_at(shown - after) == after;
  const auto what = [&](const char* did) {
    return fmt::format("the clocks of this host {} {}", did, printable(trim(text), 60));
  };
  if (!first && !second)
    throw Error(ErrorKind::usage, what("skipped"))
        .with_hint("write the offset behind the time, such as " + offset_text(before));
  if (first && second && before != after)
    throw Error(ErrorKind::usage, what("showed") + " twice")
        .with_hint(
            fmt::format("write the offset behind the time: {} for the first, {} for the second",
                        offset_text(before), offset_text(after)));
  return shown - (first ? before : after);
}

std::int64_t moment(const std::string& text, Parsed parsed) {
  const std::int64_t shown = ::timegm(&parsed.fields);
  if (parsed.zoned) return shown - parsed.offset;
  require_zone();
  return local_moment(text, shown);
}

}  // namespace

void require_zone() {
  const char* zone = std::getenv("TZ");
  if ((zone != nullptr && *zone != '\0') || !in_our_image()) return;
  throw Error(ErrorKind::usage,
              "a container does not know in which zone a time without one is meant")
      .with_hint(
          "write the zone behind the time, such as 2026-11-22 14:05 America/Sao_Paulo, or give the "
          "container TZ");
}

bool ends_recovery(const restore::RecoveryTarget& target, std::int64_t transaction,
                   std::int64_t time) {
  return target.exclusive ? transaction >= time : transaction > time;
}

bool is_plain_time(const std::string& text) { return std::regex_match(text, form()); }

std::int64_t parse_target_time(const std::string& text) { return moment(text, parse(text)); }

std::int64_t parse_target_microseconds(const std::string& text) {
  const auto parsed = parse(text);
  return moment(text, parsed) * 1'000'000 + parsed.microseconds;
}

std::string with_zone(const std::string& text) {
  const auto parsed = parse(text);
  const std::time_t time = moment(text, parsed);
  if (parsed.zoned) return text;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  // The fraction is below what a zone changes.
  const auto dot = text.find('.');
  const auto end = dot == std::string::npos ? dot : text.find_last_of("0123456789") + 1;
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%S", &utc);
  return buffer + (dot == std::string::npos ? "" : text.substr(dot, end - dot)) + "+00";
}

restore::RecoveryTarget with_zone(restore::RecoveryTarget target) {
  if (target.type == restore::RecoveryType::time) target.target = with_zone(target.target);
  return target;
}

}  // namespace pgrevive::cluster
