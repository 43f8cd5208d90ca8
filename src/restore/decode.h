#pragma once

#include <memory>

#include "codec/form.h"
#include "codec/parallel_bz2.h"
#include "codec/sink.h"
#include "repository/manifest.h"

namespace pgrevive::restore {

// Takes the stored bytes of one stream and gives its plain bytes to `out`: decrypts where the
// backup is encrypted, then decompresses. finish() throws Error{corrupt} where the stream is not
// whole. Used by one thread at a time.
class Decoder : public Sink {
 public:
  // With `bz2`, the blocks of a bz2 stream are decoded on those threads.
  Decoder(const repository::Manifest& manifest, codec::Form form, Sink& out,
          codec::Bz2Threads* bz2 = nullptr);
  void write(ByteView bytes) override { first_->write(bytes); }
  void finish() override { first_->finish(); }

 private:
  std::unique_ptr<Sink> decompressor_;
  std::unique_ptr<Sink> decryptor_;
  Sink* first_;
};

// The dress a plain file's bytes are stored in.
codec::Form stored_form(const repository::Manifest& manifest, const repository::ManifestFile& file);

// A stored block map as BlockMap::parse wants it.
Bytes decode_map(const repository::Manifest& manifest, ByteView stored);

// The plain bytes of one super block, of which there are `most` at most.
Bytes decode_super_block(const repository::Manifest& manifest, ByteView stored, std::uint64_t most);

}  // namespace pgrevive::restore
