#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "codec/cipher.h"
#include "codec/compress.h"
#include "codec/hash.h"
#include "repository/block_map.h"
#include "repository/layout.h"
#include "repository/repository.h"

namespace pgrevive::test {

// Decrypts and decompresses `length` bytes at `offset` of an object.
inline Bytes read_plain(const storage::Storage& storage, const std::string& object,
                        std::optional<storage::Range> range, const Secret& passphrase,
                        codec::CompressType type, codec::Form form) {
  MemorySink plain;
  const auto decompressor = codec::make_decompressor(type, form, plain);
  std::unique_ptr<Sink> decryptor;
  if (!passphrase.empty()) decryptor = codec::make_decryptor(passphrase, form, *decompressor);
  Sink& first = decryptor ? *decryptor : *decompressor;
  storage.read(object, range, first);
  first.finish();
  return plain.take();
}

inline repository::BlockMap load_block_map(const repository::Repository& repository,
                                           const repository::Manifest& manifest,
                                           const repository::ManifestFile& file) {
  const Bytes bytes = read_plain(
      repository.storage(), repository::layout::object_of(repository.stanza(), manifest, file),
      storage::Range{.offset = file.bundle_offset + file.repo_size - file.block_map_size,
                     .length = file.block_map_size},
      manifest.data_passphrase, codec::CompressType::none, codec::Form::raw);
  return repository::BlockMap::parse(bytes, file.block_size, file.block_checksum_size,
                                     static_cast<std::uint32_t>(manifest.references.size()),
                                     file.size);
}

// The bytes of a file, the plainest way: no delta, no merging of reads. What the restore module
// does for speed has to come to the same.
inline Bytes restore_in_memory(const repository::Repository& repository,
                               const repository::Manifest& manifest,
                               const repository::ManifestFile& file) {
  const auto& storage = repository.storage();
  const std::string object = repository::layout::object_of(repository.stanza(), manifest, file);
  if (file.size == 0) return {};
  if (!file.block_incremental()) {
    return read_plain(
        storage, object, storage::Range{.offset = file.bundle_offset, .length = file.repo_size},
        manifest.data_passphrase, manifest.compress_type,
        file.bundled() && manifest.bundle_raw ? codec::Form::raw : codec::Form::standard);
  }

  const auto map = load_block_map(repository, manifest, file);
  std::map<std::uint32_t, Bytes> super_blocks;
  Bytes restored;
  for (const auto& block : map.blocks) {
    const auto& super_block = map.super_blocks.at(block.super_block);
    if (!super_blocks.contains(block.super_block)) {
      const auto& label = manifest.references.at(super_block.reference);
      const std::string source =
          super_block.bundle_id != 0
              ? repository::layout::bundle(repository.stanza(), label, super_block.bundle_id)
              : repository::layout::backup_directory(repository.stanza(), label) + "/" +
                    std::string(file.name) + ".pgbi";
      super_blocks[block.super_block] = read_plain(
          storage, source,
          storage::Range{.offset = super_block.offset, .length = super_block.stored_size},
          manifest.data_passphrase, manifest.compress_type, codec::Form::raw);
    }
    const Bytes& plain = super_blocks[block.super_block];
    const std::size_t begin = std::size_t{block.block_in_super_block} * file.block_size;
    if (begin >= plain.size()) throw Error(ErrorKind::corrupt, "block outside its super block");
    const auto bytes = ByteView(plain).subspan(
        begin, std::min<std::size_t>(file.block_size, plain.size() - begin));
    const auto checksum = codec::xxh3_128(bytes);
    if (!std::ranges::equal(std::span(checksum).first(file.block_checksum_size),
                            std::span(block.checksum).first(file.block_checksum_size)))
      throw Error(ErrorKind::corrupt, "block checksum does not match");
    restored.insert(restored.end(), bytes.begin(), bytes.end());
  }
  restored.resize(std::min<std::size_t>(restored.size(), file.size));
  return restored;
}

}  // namespace pgrevive::test
