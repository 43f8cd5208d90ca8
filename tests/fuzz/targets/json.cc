#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "repository/json_text.h"

// What is_json() accepts can be skipped to its end, and every JSON text on one line and less deep
// than its limit is accepted; strings decode as another parser decodes them.
namespace {

using namespace pgrevive;

// Braces inside of strings count too, so it may be too much and never too little.
int depth_of(std::string_view text) {
  int depth = 0;
  int most = 0;
  for (const char c : text) {
    if (c == '{' || c == '[') most = std::max(most, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return most;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text(fuzz::input(data, size));
  const bool accepted = repository::is_json(text);
  const auto refusal = fuzz::refusal_of([&] {
    repository::JsonReader json(text);
    json.skip();
    json.end();
  });
  fuzz::require(accepted == !refusal, "is_json() and skip() agree");

  // Others read several lines, refuse what pgBackRest writes: control characters in strings, and
  // end at a NUL.
  const bool one_line = text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  const auto other = nlohmann::json::parse(text, nullptr, false);
  if (!other.is_discarded() && one_line && depth_of(text) < 60)
    fuzz::require(accepted, "what others read as JSON is JSON");
  if (!accepted) return 0;

  if (other.is_string()) {
    repository::JsonReader json(text);
    fuzz::require(json.string() == other.get<std::string>(), "strings decode as elsewhere");
  }
  fuzz::refusal_of([&] {
    const auto value = repository::JsonReader(text).unsigned_number();
    if (other.is_number_unsigned())
      fuzz::require(value == other.get<std::uint64_t>(), "numbers are what they say");
  });
  fuzz::refusal_of([&] {
    const auto value = repository::JsonReader(text).signed_number();
    if (other.is_number_integer())
      fuzz::require(value == other.get<std::int64_t>(), "signed numbers too");
  });
  fuzz::refusal_of([&] {
    repository::JsonReader json(text);
    json.object([&](std::string_view) { json.skip(); });
  });
  fuzz::refusal_of([&] {
    repository::JsonReader json(text);
    json.array([&] { json.skip(); });
  });
  return 0;
}
