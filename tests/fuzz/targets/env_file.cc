#include "cli/env_file.h"

#include "fuzz/fuzz.h"

// A .env is never refused as a whole: each line is an entry or a problem with its number, which
// holds nothing that could be a secret, that is, no value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  const auto text = as_text(fuzz::input(data, size));
  const auto lines = std::ranges::count(text, '\n') + 1;
  const auto file = cli::parse_env(text, "/fuzz/.env");
  int before = 0;
  for (const auto& entry : file.entries) {
    fuzz::require(entry.line > before && entry.line <= lines, "entries are in order, by line");
    before = entry.line;
    fuzz::require(!entry.name.empty() && printable(entry.name, entry.name.size() + 1) == entry.name,
                  "a name is plain");
    fuzz::require(entry.value.find('\0') == std::string::npos, "a value can be passed on");
    fuzz::require(file.find(entry.name) != nullptr, "an entry is found");
  }
  for (const auto& problem : file.problems) {
    fuzz::require(problem.line >= 0 && problem.line <= lines, "a problem has a line");
    fuzz::require(
        !problem.text.empty() && printable(problem.text, problem.text.size() + 1) == problem.text,
        "a problem can be shown");
  }
  return 0;
}
