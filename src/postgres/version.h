#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgrevive::postgres {

// A major version as its own type: 9.6 is 906, 15 is 1500, as in server_version_num / 100.
class Version {
 public:
  constexpr Version() = default;
  static constexpr Version of_major(int major) { return Version(major * 100); }
  // "15", "9.6"; throws Error{corrupt}.
  static Version parse(std::string_view text);

  int number() const { return number_; }
  bool at_least(int major) const { return number_ >= major * 100; }
  std::string text() const;  // "15", "9.6"
  constexpr auto operator<=>(const Version&) const = default;

 private:
  constexpr explicit Version(int number) : number_(number) {}
  int number_ = 0;
};

// The version that writes this pair into pg_control; empty if no version we know does.
std::optional<Version> version_of(std::uint32_t control_version, std::uint32_t catalog_version);

// The number at the beginning of each page of that version's WAL; empty for a version we do not
// know.
std::optional<std::uint16_t> wal_page_magic(Version version);

}  // namespace pgrevive::postgres
