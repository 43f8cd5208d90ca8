#include "restore/decode.h"

#include "base/error.h"
#include "codec/cipher.h"
#include "codec/compress.h"

namespace pgrevive::restore {

namespace {

// pgBackRest makes super blocks of 1 MiB unless it is told otherwise; a map that speaks of more
// than this is a lie that would cost the memory.
constexpr std::uint64_t kLargestSuperBlock = 256u << 20;

}  // namespace

Decoder::Decoder(const repository::Manifest& manifest, codec::Form form, Sink& out,
                 codec::Bz2Threads* bz2)
    // What comes out is compared with the manifest's SHA-1.
    : decompressor_(bz2 != nullptr ? codec::make_parallel_bz2(*bz2, out)
                                   : codec::make_decompressor(manifest.compress_type, form, out,
                                                              codec::Checksums::skipped)),
      first_(decompressor_.get()) {
  if (!manifest.data_passphrase.empty()) {
    decryptor_ = codec::make_decryptor(manifest.data_passphrase, form, *decompressor_);
    first_ = decryptor_.get();
  }
}

codec::Form stored_form(const repository::Manifest& manifest,
                        const repository::ManifestFile& file) {
  return file.bundled() && manifest.bundle_raw ? codec::Form::raw : codec::Form::standard;
}

Bytes decode_map(const repository::Manifest& manifest, ByteView stored) {
  if (manifest.data_passphrase.empty()) return {stored.begin(), stored.end()};
  MemorySink plain(stored.size());
  const auto decryptor = codec::make_decryptor(manifest.data_passphrase, codec::Form::raw, plain);
  decryptor->write(stored);
  decryptor->finish();
  return plain.take();
}

Bytes decode_super_block(const repository::Manifest& manifest, ByteView stored,
                         std::uint64_t most) {
  if (most > kLargestSuperBlock) {
    throw Error(ErrorKind::corrupt, "the block map speaks of a super block larger than 256 MiB");
  }
  MemorySink plain(static_cast<std::size_t>(most));
  Decoder decoder(manifest, codec::Form::raw, plain);
  decoder.write(stored);
  decoder.finish();
  return plain.take();
}

}  // namespace pgrevive::restore
