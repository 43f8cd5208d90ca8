#include "postgres/version.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

struct Known {
  std::string_view version;
  std::uint32_t control_version;
  std::uint32_t first_catalog_version;
  std::uint32_t last_catalog_version;  // a released major has one only
  std::uint16_t wal_page_magic;
};

// A released major never changes these numbers. Betas do: each beta of 19 had its own catalog
// version, and they lie between its first one and the first of the year after.
constexpr std::array kKnown{
    Known{"9.6", 960, 201608131, 201608131, 0xD093},
    Known{"10", 1002, 201707211, 201707211, 0xD097},
    Known{"11", 1100, 201809051, 201809051, 0xD098},
    Known{"12", 1201, 201909212, 201909212, 0xD101},
    Known{"13", 1300, 202007201, 202007201, 0xD106},
    Known{"14", 1300, 202107181, 202107181, 0xD10D},
    Known{"15", 1300, 202209061, 202209061, 0xD110},
    Known{"16", 1300, 202307071, 202307071, 0xD113},
    Known{"17", 1700, 202406281, 202406281, 0xD116},
    Known{"18", 1800, 202506291, 202506291, 0xD118},
    Known{"19", 1902, 202605131, 202699999, 0xD121},
};

}  // namespace

Version Version::parse(std::string_view text) {
  const auto dot = text.find('.');
  const auto major = parse_unsigned(text.substr(0, dot));
  if (dot == std::string_view::npos) {
    if (major && *major >= 10 && *major < 100) return of_major(static_cast<int>(*major));
  } else {
    // Until 10 the first two numbers made a major version.
    const auto second = parse_unsigned(text.substr(dot + 1));
    if (major && *major < 10 && second && *second < 10) {
      return Version(static_cast<int>(*major * 100 + *second));
    }
  }
  throw Error(ErrorKind::corrupt, fmt::format("'{}' is not a PostgreSQL version", printable(text)));
}

std::string Version::text() const {
  if (number_ >= 1000) return std::to_string(number_ / 100);
  return fmt::format("{}.{}", number_ / 100, number_ % 100);
}

std::optional<Version> version_of(std::uint32_t control_version, std::uint32_t catalog_version) {
  const auto known = std::ranges::find_if(kKnown, [&](const Known& k) {
    return k.control_version == control_version && k.first_catalog_version <= catalog_version &&
           catalog_version <= k.last_catalog_version;
  });
  if (known == kKnown.end()) return std::nullopt;
  return Version::parse(known->version);
}

std::optional<std::uint16_t> wal_page_magic(Version version) {
  const auto known = std::ranges::find(kKnown, version.text(), &Known::version);
  if (known == kKnown.end()) return std::nullopt;
  return known->wal_page_magic;
}

}  // namespace pgrevive::postgres
