#include "cluster/target_time.h"

#include <ctime>
#include <regex>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

struct Parsed {
  std::tm fields{};
  bool zoned = false;
  long offset = 0;  // seconds east of Greenwich
  std::int64_t microseconds = 0;
};

Parsed parse(const std::string& text) {
  static const std::regex kTime(
      R"(\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?\s*)"
      R"((?:(Z|UTC|GMT)|([+-])(\d{1,2}):?(\d{2})?)?\s*)",
      std::regex::icase);
  std::smatch match;
  const auto number = [&](std::size_t group) {
    return match[group].matched ? std::stoi(match[group].str()) : 0;
  };
  if (!std::regex_match(text, match, kTime) || number(2) < 1 || number(2) > 12 || number(3) < 1 ||
      number(3) > 31 || number(4) > 23 || number(5) > 59 || number(6) > 60)
    throw Error(ErrorKind::usage, "'" + text + "' is not a time")
        .with_hint("write it as 2026-11-22 14:05:00+00");
  Parsed parsed;
  parsed.fields.tm_year = number(1) - 1900;
  parsed.fields.tm_mon = number(2) - 1;
  parsed.fields.tm_mday = number(3);
  parsed.fields.tm_hour = number(4);
  parsed.fields.tm_min = number(5);
  parsed.fields.tm_sec = number(6);
  parsed.fields.tm_isdst = -1;
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

}  // namespace

std::int64_t parse_target_time(const std::string& text) {
  auto parsed = parse(text);
  if (parsed.zoned) return ::timegm(&parsed.fields) - parsed.offset;
  return std::mktime(&parsed.fields);
}

std::int64_t parse_target_microseconds(const std::string& text) {
  return parse_target_time(text) * 1'000'000 + parse(text).microseconds;
}

std::string with_zone(const std::string& text) {
  const auto parsed = parse(text);
  if (parsed.zoned) return text;
  auto fields = parsed.fields;
  const std::time_t time = std::mktime(&fields);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  // The fraction is below what a zone changes.
  const auto dot = text.find('.');
  const auto end = dot == std::string::npos ? dot : text.find_last_of("0123456789") + 1;
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%S", &utc);
  return buffer + (dot == std::string::npos ? "" : text.substr(dot, end - dot)) + "+00";
}

}  // namespace pgrevive::cluster
