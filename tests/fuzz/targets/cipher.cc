#include "codec/cipher.h"

#include "fuzz/fuzz.h"

// Any bytes are either refused or decrypt to the same plain bytes in whatever pieces they come, and
// to fewer than they are. (The passphrase cannot be found by a fuzzer: what decrypts by chance has
// a padding that looks right.)
namespace {

using namespace pgrevive;

struct Outcome {
  std::optional<std::string> refusal;
  Bytes plain;
};

Outcome decrypt(ByteView stored, std::size_t piece, codec::Form form) {
  Outcome outcome;
  MemorySink plain;
  outcome.refusal = fuzz::refusal_of([&] {
    const auto decryptor = codec::make_decryptor(Secret("fuzz"), form, plain);
    fuzz::pump(stored, piece, *decryptor);
  });
  outcome.plain = plain.take();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto stored = fuzz::input(data, size);
  for (const auto form : {codec::Form::standard, codec::Form::raw}) {
    const auto whole = decrypt(stored, size + 1, form);
    for (const std::size_t piece : {1, 15, 16, 17}) {
      const auto pieces = decrypt(stored, piece, form);
      fuzz::require(whole.refusal == pieces.refusal, "pieces decide nothing");
      if (!whole.refusal) fuzz::require(whole.plain == pieces.plain, "pieces change no byte");
    }
    fuzz::require(whole.plain.size() <= size, "decrypting makes nothing larger");
  }
  return 0;
}
