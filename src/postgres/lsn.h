#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgrevive::postgres {

// A position in the write-ahead log: a byte offset since the beginning of the cluster.
class Lsn {
 public:
  constexpr Lsn() = default;
  constexpr explicit Lsn(std::uint64_t value) : value_(value) {}
  // "16/B374D848"; throws Error{corrupt}.
  static Lsn parse(std::string_view text);

  constexpr std::uint64_t value() const { return value_; }
  constexpr bool is_valid() const { return value_ != 0; }
  std::string text() const;
  constexpr auto operator<=>(const Lsn&) const = default;

 private:
  std::uint64_t value_ = 0;
};

// A history of the cluster: 1 at first, one more after each promotion.
class Timeline {
 public:
  constexpr Timeline() = default;
  constexpr explicit Timeline(std::uint32_t value) : value_(value) {}
  // Eight hex digits, as in WAL names; throws Error{corrupt}.
  static Timeline parse_hex(std::string_view text);

  constexpr std::uint32_t value() const { return value_; }
  std::string hex() const;  // eight upper-case digits
  constexpr auto operator<=>(const Timeline&) const = default;

 private:
  std::uint32_t value_ = 1;
};

}  // namespace pgrevive::postgres
