#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <string_view>

#include <bzlib.h>
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/error.h"

namespace pgrevive::codec {

// What a decoder did with the input and the room for output that it was given.
struct DecodeStep {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  bool ended = false;  // the stream has said that it is whole
};

[[noreturn]] inline void throw_damaged(std::string_view codec, std::string_view reason) {
  throw Error(ErrorKind::corrupt, fmt::format("{} stream is damaged: {}", codec, reason));
}

// One bz2 stream through libbz2: takes input until there is none or the output is full.
class Bz2Decoder {
 public:
  static constexpr std::string_view kName = "bz2";

  Bz2Decoder() {
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
  }
  Bz2Decoder(const Bz2Decoder&) = delete;
  Bz2Decoder& operator=(const Bz2Decoder&) = delete;
  ~Bz2Decoder() { BZ2_bzDecompressEnd(&stream_); }

  // Throws Error{corrupt}.
  DecodeStep decode(ByteView input, std::span<std::byte> output) {
    stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = static_cast<unsigned>(input.size());
    stream_.next_out = reinterpret_cast<char*>(output.data());
    stream_.avail_out = static_cast<unsigned>(output.size());
    const int result = BZ2_bzDecompress(&stream_);
    if (result == BZ_MEM_ERROR) throw std::bad_alloc();
    if (result == BZ_DATA_ERROR_MAGIC) throw_damaged(kName, "invalid header");
    if (result != BZ_OK && result != BZ_STREAM_END) throw_damaged(kName, "invalid data");
    return {.consumed = input.size() - stream_.avail_in,
            .produced = output.size() - stream_.avail_out,
            .ended = result == BZ_STREAM_END};
  }

 private:
  bz_stream stream_{};
};

}  // namespace pgrevive::codec
