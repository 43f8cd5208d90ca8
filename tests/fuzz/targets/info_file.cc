#include "repository/info_file.h"

#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/info_text.h"
#include "repository/json_text.h"

// Any text is either refused, naming the file, or told entry by entry, the same in whatever pieces
// it comes; every value that is told is JSON.
namespace {

using namespace pgrevive;

struct Outcome {
  std::optional<std::string> refusal;
  std::vector<std::string> entries;
};

Outcome read(std::string_view text, std::size_t piece) {
  Outcome outcome;
  outcome.refusal = fuzz::refusal_of([&] {
    repository::InfoFileReader reader(
        "x.info", [&](std::string_view section, std::string_view key, std::string_view value) {
          fuzz::require(!section.empty(), "an entry is in a section");
          fuzz::require(repository::is_json(value), "a value is JSON");
          outcome.entries.push_back(std::string(section).append("\n").append(key).append("\n"));
          outcome.entries.back().append(value);
        });
    fuzz::pump(as_bytes(text), piece, reader);
  });
  return outcome;
}

Outcome check(std::string_view text) {
  const auto whole = read(text, text.size() + 1);
  const auto pieces = read(text, 3);
  fuzz::require(whole.refusal == pieces.refusal, "pieces decide nothing");
  fuzz::require(whole.entries == pieces.entries, "pieces change no entry");
  if (whole.refusal)
    fuzz::require(whole.refusal->find("x.info") != std::string::npos, "the file is named");
  return whole;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::check_info_text(data, size,
                               [](std::string_view text) { return check(text).refusal; });
}
