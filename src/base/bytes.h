#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgrevive {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads a little-endian integer at `offset`; the caller has checked that it lies inside.
template <typename Integer>
Integer load_le(ByteView bytes, std::size_t offset) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value = static_cast<Integer>(
        value |
        (static_cast<Integer>(std::to_integer<std::uint8_t>(bytes[offset + i])) << (8 * i)));
  }
  return value;
}

// Lower-case hex digits of `bytes`, and back. from_hex throws Error{corrupt} on anything else than
// an even number of hex digits.
std::string to_hex(ByteView bytes);
Bytes from_hex(std::string_view digits);

}  // namespace pgrevive
