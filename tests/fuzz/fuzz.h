#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "codec/sink.h"

// What the fuzz targets share. Each is a file of targets/ that defines LLVMFuzzerTestOneInput; its
// comment says what has to be true of any input. docs/fuzzing.md says how they are run.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace pgrevive::fuzz {

inline ByteView input(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Says which promise is broken and aborts, which is what libFuzzer and ctest look for. Not an
// assertion: these have to hold in every build.
inline void require(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: broken promise: %.*s\n", static_cast<int>(promise.size()),
               promise.data());
  std::abort();
}

// What a parser may throw over foreign bytes: our own error, of a kind that blames the bytes, in
// words that break neither a terminal nor a log.
inline void require_refusal(const Error& error) {
  const std::string_view text = error.what();
  require(error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported,
          std::string("the bytes are to blame: ").append(text));
  require(!text.empty() && printable(text, text.size() + 1) == text,
          "an error's message is printable");
}

// Runs `parse`; the message of its refusal, or nothing where the input was accepted.
template <typename Parse>
std::optional<std::string> refusal_of(Parse&& parse) {
  try {
    std::forward<Parse>(parse)();
  } catch (const Error& error) {
    require_refusal(error);
    return error.what();
  }
  return {};
}

// Takes bytes off the front of an input, to make numbers and choices of them. Zeros when it is
// used up.
class Source {
 public:
  explicit Source(ByteView bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer number() {
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof(Integer) && !bytes_.empty(); ++i) {
      value = static_cast<Integer>(
          value | static_cast<Integer>(static_cast<Integer>(bytes_.front()) << (8 * i)));
      bytes_ = bytes_.subspan(1);
    }
    return value;
  }
  bool flag() { return (number<std::uint8_t>() & 1) != 0; }
  bool empty() const { return bytes_.empty(); }
  ByteView rest() const { return bytes_; }

 private:
  ByteView bytes_;
};

// Writes `bytes` in pieces of `size`, which no result may depend on, and finishes.
inline void pump(ByteView bytes, std::size_t size, Sink& sink) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(size, bytes.size()));
    sink.write(piece);
    bytes = bytes.subspan(piece.size());
  }
  sink.finish();
}

}  // namespace pgrevive::fuzz
