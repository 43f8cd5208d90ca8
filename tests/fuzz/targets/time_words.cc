#include <cstdlib>

#include "cli/natural_time.h"
#include "cluster/target_time.h"
#include "fuzz/fuzz.h"

// Whatever somebody takes for a time is refused, for his words, in words that can be shown, or is a
// moment that the server can be told, with its zone, and which stays the same when it is read
// again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  static const bool zone = ::setenv("TZ", "America/Sao_Paulo", 1) == 0;  // one that had two clocks
  fuzz::require(zone, "a zone can be set");
  const std::string text(as_text(fuzz::input(data, size)));
  cli::is_relative_time(text);
  try {
    const auto plain =
        cli::natural_time(text, std::chrono::system_clock::from_time_t(1'795'331'620));
    const auto moment = cluster::parse_target_microseconds(plain);
    const auto told = cluster::with_zone(plain);
    fuzz::require(cluster::is_plain_time(plain) && cluster::is_plain_time(told), "it is plain");
    fuzz::require(cluster::parse_target_microseconds(told) == moment, "it is the same moment");
  } catch (const Error& error) {
    const std::string_view words = error.what();
    fuzz::require(error.kind() == ErrorKind::usage, "the words are to blame");
    fuzz::require(!words.empty() && printable(words, words.size() + 1) == words,
                  "an error's message is printable");
  }
  return 0;
}
