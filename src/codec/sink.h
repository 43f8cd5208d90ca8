#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"

namespace pgrevive {

// Where bytes go. A stage of the restore pipeline is a Sink that holds a reference to the next one,
// so a pipeline is built back to front and reads as a sentence:
//
//   FileSink file(path);
//   HashSink hash(file);
//   const auto plain = codec::make_decompressor(type, form, hash);
//   CipherDecoder clear(passphrase, form, *plain);
//   storage.read(object, range, clear);
//   clear.finish();
//
// A sink is used by one thread at a time. write() may keep a copy of the bytes, never the view.
class Sink {
 public:
  virtual ~Sink() = default;

  virtual void write(ByteView bytes) = 0;

  // Memory of the sink's own for what comes next, so that it need not be copied: whoever fills a
  // part of it from the front gives just that part to write(), before any other call. Empty where
  // the sink has none.
  virtual std::span<std::byte> room() { return {}; }

  // Ends the stream: flushes what is held back, checks what can only be checked at the end (a
  // trailer, a padding, a length), then finishes the next sink. A stream that was not finished is
  // incomplete, and destroying the sink must not make it look whole.
  virtual void finish() = 0;
};

// Keeps what it is given, up to a limit that stands between a lying object and our memory.
class MemorySink : public Sink {
 public:
  explicit MemorySink(std::size_t limit = 256u << 20) : limit_(limit) {}
  void write(ByteView bytes) override;  // throws Error{corrupt} above the limit
  void finish() override { finished_ = true; }

  const Bytes& bytes() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }
  bool finished() const { return finished_; }

 private:
  std::size_t limit_;
  Bytes bytes_;
  bool finished_ = false;
};

}  // namespace pgrevive
