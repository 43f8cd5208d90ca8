#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/fuzz.h"

// The text of an info file with the checksum put right, which no fuzzer finds: the reader itself
// says what it would have to be.
namespace pgrevive::fuzz {

// `refusal` is what reading `text` ended in; the text again where that was anything else.
inline std::string with_checksum(std::string_view text, std::string_view refusal) {
  constexpr std::string_view kGives = "its text gives ";
  constexpr std::string_view kEntry = "backrest-checksum=\"";
  std::string right(text);
  const auto gives = refusal.rfind(kGives);
  const auto entry = right.rfind(kEntry);
  if (gives == std::string_view::npos || entry == std::string::npos) return right;
  const auto from = entry + kEntry.size();
  const auto to = right.find('"', from);
  if (to != std::string::npos)
    right.replace(from, to - from, refusal.substr(gives + kGives.size()));
  return right;
}

// The text with a checksum to put right, where it has none.
inline std::string with_checksum_entry(std::string_view text) {
  std::string closed(text);
  if (text.find("backrest-checksum=") == std::string_view::npos)
    closed += "\n[backrest]\nbackrest-checksum=\"\"\n";
  return closed;
}

// The whole of a target: `check` is told the input as it is, and with a checksum that is right. It
// returns what reading ended in, if in a refusal.
template <typename Check>
int check_info_text(const std::uint8_t* data, std::size_t size, Check check) {
  const auto text = as_text(input(data, size));
  check(text);
  const auto closed = with_checksum_entry(text);
  if (const auto refusal = check(closed)) check(with_checksum(closed, *refusal));
  return 0;
}

}  // namespace pgrevive::fuzz
