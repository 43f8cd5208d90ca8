#include "cli/natural_time.h"

#include <cstdlib>
#include <map>
#include <regex>

#include <date/tz.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "base/unix_time.h"
#include "cluster/target_time.h"

namespace pgrevive::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using Moment = std::chrono::time_point<std::chrono::system_clock, microseconds>;

constexpr const char* kExamples =
    "write a time such as 2026-11-22 14:05:00+00, 2026-11-22 14:05 America/Sao_Paulo, "
    "yesterday 14:05 or 10 minutes ago";

Error bad(const std::string& what) {
  Error error(ErrorKind::usage, what);
  error.with_hint(kExamples);
  return error;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// How long before which moment.
struct Relative {
  seconds before{0};
  std::string moment;  // empty: now
};

std::optional<Relative> parse_relative(const std::string& text) {
  static const std::map<std::string, int> kUnits = {
      {"s", 1},       {"sec", 1},      {"secs", 1},    {"second", 1},   {"seconds", 1},
      {"segundo", 1}, {"segundos", 1}, {"m", 60},      {"min", 60},     {"mins", 60},
      {"minute", 60}, {"minutes", 60}, {"minuto", 60}, {"minutos", 60}, {"h", 3600},
      {"hour", 3600}, {"hours", 3600}, {"hora", 3600}, {"horas", 3600}, {"d", 86400},
      {"day", 86400}, {"days", 86400}, {"dia", 86400}, {"dias", 86400}};
  static const std::regex kNow(R"(\s*(?:now|agora)\s*)", std::regex::icase);
  static const std::regex kBefore(
      R"(\s*(?:(?:há|ha)\s+)?(\d{1,9})\s*([a-z]+)(?:\s+(ago|atrás|atras|before|antes(?: d[eo])?)(?:\s+(.+?))?)?\s*)",
      std::regex::icase);
  if (std::regex_match(text, kNow)) return Relative{};
  std::smatch match;
  if (!std::regex_match(text, match, kBefore)) return {};
  const auto unit = kUnits.find(lower(match[2].str()));
  if (unit == kUnits.end()) return {};
  const auto word = lower(match[3].str());
  const bool needs_moment = word == "before" || word.starts_with("antes");
  const bool since = lower(std::string(trim(text))).starts_with("h");
  if (needs_moment != match[4].matched || (word.empty() && !since)) return {};
  return Relative{.before = seconds(std::stoll(match[1].str()) * unit->second),
                  .moment = match[4].str()};
}

const date::time_zone* find_zone(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::runtime_error&) {
    throw bad("there is no time zone '" + printable(name, 60) + "'");
  }
}

// Of this host, as the C library has it: TZ comes before /etc/localtime.
const date::time_zone* own_zone() {
  cluster::require_zone();
  const char* name = std::getenv("TZ");
  if (name != nullptr && *name != '\0') return find_zone(*name == ':' ? name + 1 : name);
  try {
    return date::current_zone();
  } catch (const std::runtime_error&) {
    throw bad("the time zone of this host is not known: write one behind the time");
  }
}

// "2026-11-22 14:05", "yesterday", with a zone of the tz database or none.
std::optional<Moment> parse_civil(const std::string& text, Moment now) {
  static const std::regex kCivil(
      R"(\s*(\d{4}-\d{1,2}-\d{1,2}|today|hoje|yesterday|ontem)(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,6})?)?)?)"
      R"((?:\s+([a-z][a-z0-9_+\-]*(?:/[a-z0-9_+\-]+){0,2}))?\s*)",
      std::regex::icase);
  std::smatch match;
  if (!std::regex_match(text, match, kCivil)) return {};
  const auto* zone = match[6].matched ? find_zone(match[6].str()) : own_zone();

  const auto day_word = lower(match[1].str());
  date::local_days day;
  if (std::isdigit(static_cast<unsigned char>(day_word.front())) != 0) {
    const auto parts = split(day_word, '-');
    const auto number = [&](std::size_t i) {
      return static_cast<unsigned>(*parse_unsigned(parts[i]));
    };
    const date::year_month_day named(date::year(static_cast<int>(number(0))),
                                     date::month(number(1)), date::day(number(2)));
    if (!named.ok()) throw bad("there is no day " + day_word);
    if (!is_unix_year(static_cast<int>(named.year())))
      throw bad(day_word + " is not between 1970 and 2199");
    day = date::local_days(named);
  } else {
    day = date::floor<date::days>(zone->to_local(now));
    if (day_word == "yesterday" || day_word == "ontem") day -= date::days(1);
  }

  const auto number = [&](std::size_t group) {
    return match[group].matched ? std::stoi(match[group].str()) : 0;
  };
  if (number(2) > 23 || number(3) > 59 || number(4) > 59)
    throw bad("'" + printable(text, 60) + "' is not a time");
  auto local = date::local_time<microseconds>(day) + std::chrono::hours(number(2)) +
               std::chrono::minutes(number(3)) + seconds(number(4));
  if (match[5].matched) {
    auto digits = match[5].str().substr(1);
    digits.resize(6, '0');
    local += microseconds(std::stoll(digits));
  }
  const auto found = zone->get_info(local);
  if (found.result == date::local_info::nonexistent)
    throw bad("the clocks of " + zone->name() + " skipped " + std::string(trim(text)));
  if (found.result == date::local_info::ambiguous)
    throw Error(ErrorKind::usage,
                "the clocks of " + zone->name() + " showed " + std::string(trim(text)) + " twice")
        .with_hint("write the offset instead of the zone: " +
                   fmt::format("{:+03d} for the first time, {:+03d} for the second",
                               found.first.offset.count() / 3600,
                               found.second.offset.count() / 3600));
  return Moment(local.time_since_epoch() - found.first.offset);
}

std::string plain(Moment moment) {
  const auto whole = std::chrono::floor<seconds>(moment);
  if (!is_unix_time(whole.time_since_epoch().count()))
    throw bad("that is not a time between 1970 and 2199");
  const auto fraction = (moment - whole).count();
  return fmt::format("{:%Y-%m-%d %H:%M:%S}{}+00",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                     fraction == 0 ? "" : fmt::format(".{:06d}", fraction));
}

// Empty where it is not written as one.
std::optional<Moment> plain_moment(const std::string& text) {
  if (!cluster::is_plain_time(text)) return {};
  return Moment(microseconds(cluster::parse_target_microseconds(text)));
}

}  // namespace

std::string natural_time(const std::string& text, std::chrono::system_clock::time_point now) {
  if (plain_moment(text)) return text;
  const auto time = std::chrono::floor<microseconds>(now);
  if (const auto relative = parse_relative(text)) {
    if (!is_unix_time(relative->before.count()))
      throw bad("'" + printable(text, 60) + "' is a time before 1970");
    if (relative->moment.empty())
      return plain(std::chrono::floor<seconds>(time) - relative->before);
    if (const auto at = plain_moment(relative->moment)) return plain(*at - relative->before);
    if (const auto civil = parse_civil(relative->moment, time))
      return plain(*civil - relative->before);
  } else if (const auto civil = parse_civil(text, time)) {
    return plain(*civil);
  }
  // "today 14:05-03": the day in words, the offset in digits.
  static const std::regex kOffset(R"((.*\d)\s*(Z|[+-]\d{1,2}(?::?\d{2})?)\s*)", std::regex::icase);
  static const std::regex kDay(R"(\s*(today|hoje|yesterday|ontem)\b(.*))", std::regex::icase);
  std::smatch offset;
  std::smatch day;
  if (std::regex_match(text, offset, kOffset) && std::regex_match(text, day, kDay)) {
    // The offset says where the day is today.
    const auto epoch = plain_moment("1970-01-01 00:00:00" + offset[2].str());
    if (epoch) {
      auto there = std::chrono::floor<date::days>(time - epoch->time_since_epoch());
      const auto word = lower(day[1].str());
      if (word == "yesterday" || word == "ontem") there -= date::days(1);
      const auto whole = date::format("%F", there) + day[2].str();
      if (plain_moment(whole)) return whole;
    }
  }
  throw bad("'" + printable(text, 60) + "' is not a time");
}

bool is_relative_time(const std::string& text) {
  if (cluster::is_plain_time(text)) return false;
  static const std::regex kDay(R"(.*\b(today|hoje|yesterday|ontem)\b.*)", std::regex::icase);
  if (std::regex_match(text, kDay)) return true;
  const auto relative = parse_relative(text);
  return relative && relative->moment.empty();
}

}  // namespace pgrevive::cli
