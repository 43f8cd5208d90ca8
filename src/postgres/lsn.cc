#include "postgres/lsn.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

// 1 to 8 hex digits and nothing else.
std::optional<std::uint32_t> parse_hex32(std::string_view text) {
  if (text.empty() || text.size() > 8) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Lsn Lsn::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto high = parse_hex32(text.substr(0, slash));
    const auto low = parse_hex32(text.substr(slash + 1));
    if (high && low) return Lsn(std::uint64_t{*high} << 32 | *low);
  }
  throw Error(ErrorKind::corrupt, fmt::format("'{}' is not an LSN", printable(text)));
}

std::string Lsn::text() const {
  return fmt::format("{:X}/{:X}", value_ >> 32, value_ & 0xFFFFFFFFu);
}

Timeline Timeline::parse_hex(std::string_view text) {
  const auto value = text.size() == 8 ? parse_hex32(text) : std::nullopt;
  if (!value || *value == 0) {
    throw Error(ErrorKind::corrupt,
                fmt::format("'{}' is not a timeline of eight hex digits", printable(text)));
  }
  return Timeline(*value);
}

std::string Timeline::hex() const { return fmt::format("{:08X}", value_); }

}  // namespace pgrevive::postgres
