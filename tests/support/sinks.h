#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "codec/sink.h"

namespace pgrevive::test {

// Keeps what it is given as text and notes whether it was finished.
class StringSink : public Sink {
 public:
  void write(ByteView bytes) override {
    text += as_text(bytes);
    largest = std::max(largest, bytes.size());
  }
  void finish() override { finished = true; }

  std::string text;
  std::size_t largest = 0;  // of the pieces it was given
  bool finished = false;
};

// Writes `text` in pieces of `size` bytes and does not finish.
inline void feed(Sink& sink, std::string_view text, std::size_t size) {
  for (std::size_t at = 0; at < text.size(); at += size) {
    sink.write(as_bytes(text.substr(at, size)));
  }
}

}  // namespace pgrevive::test
