#include "cluster/backrest_version.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

struct Known {
  int postgres;
  BackrestVersion since;
};

// From its release notes. A release knows the PostgreSQL that is in beta at its time, and takes the
// final one for it.
constexpr std::array kKnown{
    Known{11, {2, 6}},  Known{12, {2, 18}}, Known{13, {2, 30}},
    Known{14, {2, 34}}, Known{15, {2, 39}}, Known{16, {2, 46}},
    Known{17, {2, 52}}, Known{18, {2, 55}}, Known{19, {2, 59}},
};

std::string text_of(BackrestVersion version) {
  return fmt::format("{}.{:02}", version.major, version.minor);
}

}  // namespace

std::optional<BackrestVersion> parse_backrest_version(std::string_view text) {
  constexpr std::string_view kBefore = "pgBackRest ";
  text = trim(text);
  if (!text.starts_with(kBefore)) return std::nullopt;
  text.remove_prefix(kBefore.size());
  const auto take_number = [&] {
    const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    text.remove_prefix(digits.size());
    return parse_unsigned(digits);
  };
  const auto major = take_number();
  if (!major || !text.starts_with('.')) return std::nullopt;
  text.remove_prefix(1);
  const auto minor = take_number();
  if (!minor || *major > 1000 || *minor > 1000) return std::nullopt;
  return BackrestVersion{static_cast<int>(*major), static_cast<int>(*minor)};
}

std::optional<BackrestVersion> first_backrest_for(postgres::Version version) {
  const auto known = std::ranges::find_if(kKnown, [&](const Known& entry) {
    return postgres::Version::of_major(entry.postgres) == version;
  });
  if (known == kKnown.end()) return std::nullopt;
  return known->since;
}

void check_backrest_knows(postgres::Version version, WalArchiveMode mode) {
  const auto needed = first_backrest_for(version);
  if (!needed) return;
  const Command command{.program = "pgbackrest", .arguments = {"version"}};
  const auto output = run(command, {}, std::chrono::seconds(10));
  const auto installed = parse_backrest_version(output.out);
  if (!installed || *installed >= *needed) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("WAL_ARCHIVE={} needs a pgBackRest that knows PostgreSQL {}, and the one "
                          "installed here, {}, does not",
                          name_of(mode), version.text(), text_of(*installed)))
      .with_hint(
          fmt::format("install pgBackRest {} or newer (apt.postgresql.org has it), or set "
                      "WAL_ARCHIVE=off to run without an archive of its own; nothing has been "
                      "restored yet",
                      text_of(*needed)));
}

}  // namespace pgrevive::cluster
