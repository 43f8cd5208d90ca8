#include <array>
#include <memory>

#include "codec/compress.h"
#include "codec/parallel_bz2.h"
#include "fuzz/fuzz.h"

// Any bytes are either refused or decode to the same plain bytes, in whatever pieces they come and
// by whichever of the decoders of their type; what comes out is bounded by who takes it.
//
// The first byte of the input chooses the decoder.
namespace {

using namespace pgrevive;

constexpr std::size_t kMost = 4u << 20;

struct Outcome {
  std::optional<std::string> refusal;
  Bytes plain;
};

template <typename Make>
Outcome decode(ByteView stored, std::size_t piece, Make&& make) {
  Outcome outcome;
  MemorySink plain(kMost);
  outcome.refusal = fuzz::refusal_of([&] {
    const std::unique_ptr<Sink> decoder = make(plain);
    fuzz::pump(stored, piece, *decoder);
    fuzz::require(plain.finished(), "finish() reaches the end of the pipeline");
  });
  outcome.plain = plain.take();
  return outcome;
}

void require_same(const Outcome& one, const Outcome& other) {
  fuzz::require(one.refusal.has_value() == other.refusal.has_value(),
                "pieces decide nothing about whether a stream is whole");
  if (!one.refusal) fuzz::require(one.plain == other.plain, "pieces change no byte");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using codec::CompressType;
  fuzz::Source source(fuzz::input(data, size));
  const auto choice = source.number<std::uint8_t>();
  constexpr std::array kTypes = {CompressType::none, CompressType::gz, CompressType::bz2,
                                 CompressType::lz4, CompressType::zst};
  const auto type = kTypes[choice % kTypes.size()];
  const auto form = (choice & 0x80) != 0 ? codec::Form::raw : codec::Form::standard;
  const auto checksums =
      (choice & 0x40) != 0 ? codec::Checksums::skipped : codec::Checksums::verified;
  const ByteView stored = source.rest();

  const auto make = [&](Sink& next) {
    return codec::make_decompressor(type, form, next, checksums);
  };
  const auto whole = decode(stored, stored.size() + 1, make);
  require_same(whole, decode(stored, 7, make));
  if (stored.size() <= 4096) require_same(whole, decode(stored, 1, make));
  if (type == CompressType::none) {
    fuzz::require(whole.refusal || std::ranges::equal(whole.plain, stored), "none changes nothing");
  }
  if (type == CompressType::bz2) {
    static codec::Bz2Threads threads(2);
    require_same(whole, decode(stored, 1000, [&](Sink& next) {
                   return codec::make_parallel_bz2(threads, next);
                 }));
  }
  return 0;
}
