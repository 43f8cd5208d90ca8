#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "codec/hash.h"
#include "repository/block_map.h"
#include "repository/manifest.h"
#include "restore/fetch.h"
#include "restore/write/output_file.h"

// Block-incremental files: the file is cut into blocks, runs of blocks are stored as super blocks,
// and those of one file can lie in several objects of several backups. The file's map says which
// block is where:
//
//   file      | 0 | 1 | 2 | 3 | 4 |
//   full      [ 0   1   2 ][ 3   4 ]      two super blocks
//   incr      [ 1 ]                       block 1 has changed since
//   to read   all three super blocks: 0 and 2 of the first, 1 of the third, 3 and 4 of the second
//
// Super blocks are read in the order in which they lie in their objects, because neighbours are
// then one request; so the blocks of a file that has changed since its full backup come out of
// order. Such a file is hashed by reading it back from the first node when it is whole (it is still
// in the page cache); one whose blocks happen to come in order is hashed on the way.
namespace pgrevive::restore {

// A super block of which a file needs something.
struct WantedSuperBlock {
  struct Block {
    std::uint32_t number = 0;          // in the file
    std::uint32_t in_super_block = 0;  // in the plain super block
    std::array<std::byte, 16> checksum{};
  };
  std::uint32_t file = 0;  // in Manifest::files
  repository::SuperBlock where;
  std::vector<Block> blocks;  // in the order of the file
};

// What `file` needs by its map (plain bytes), ordered by first block. Throws Error{corrupt}.
std::vector<WantedSuperBlock> wanted_super_blocks(const repository::Manifest& manifest,
                                                  std::uint32_t file, ByteView map);

// The object a super block is in.
std::string object_of(const std::string& stanza, const repository::Manifest& manifest,
                      const WantedSuperBlock& block);

// Orders super blocks as they lie in the repository.
void sort_by_place(const repository::Manifest& manifest, std::vector<WantedSuperBlock>& blocks);

// Super blocks [first, first + count) of a sorted list, read by one request.
struct SuperBlockRun {
  std::size_t first = 0;
  std::size_t count = 0;
  storage::Range range;
};
// `blocks` are sorted by place. Neighbours no more than `gap` apart share a request of at most
// `piece` bytes; a super block is never split.
std::vector<SuperBlockRun> group_by_request(const std::vector<WantedSuperBlock>& blocks,
                                            const repository::Manifest& manifest,
                                            std::uint64_t piece, std::uint64_t gap);

// The first block of the file among those of one plain super block that is not what the map says.
// The maps' checksums are short and only good for saying where a file is damaged; whether it is,
// its SHA-1 decides.
std::optional<std::uint32_t> first_bad_block(const repository::ManifestFile& file,
                                             const WantedSuperBlock& block, ByteView plain);

// Puts the blocks of plain super blocks in their places in one file. Used by one thread at a time.
class BlockWriter {
 public:
  BlockWriter(OutputFile& output, const repository::ManifestFile& file,
              std::function<void(std::uint64_t)> written);

  void write(const WantedSuperBlock& block, ByteView plain);
  // Whether every block of the file has come, in order.
  bool whole_in_order() const { return next_ == end_; }
  // Throws Error{corrupt} unless the file is the manifest's; all its blocks must have been written,
  // by whatever writer.
  void prove();

 private:
  OutputFile& output_;
  const repository::ManifestFile& file_;
  std::function<void(std::uint64_t)> written_;
  codec::Sha1Hasher hasher_;
  std::uint64_t next_ = 0;  // the first byte of the file that has not been hashed on the way
  std::uint64_t end_;
};

}  // namespace pgrevive::restore
