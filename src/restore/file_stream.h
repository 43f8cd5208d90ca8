#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "codec/hash.h"
#include "codec/sha1_lanes.h"
#include "restore/activity.h"
#include "restore/decode.h"
#include "restore/pass.h"
#include "restore/write/write_queue.h"

namespace pgrevive::restore {

// The stored bytes of one file, as far as they have come: the pieces of a task of its own, or a
// part of a piece that other files are in as well.
class StoredBytes {
 public:
  explicit StoredBytes(std::shared_ptr<Begun> task);
  // `owner` keeps `bytes` in memory.
  StoredBytes(ByteView bytes, std::shared_ptr<const void> owner);

  // What is there of the next `most` bytes; empty when nothing is, see ended(). Throws what the
  // request for them threw.
  ByteView next(std::size_t most);
  bool ended() const;
  // Keeps what next() has just given.
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  std::shared_ptr<Begun> task_;
  ByteView bytes_;  // what is left of the piece
  std::shared_ptr<const void> owner_;
};

// A plain file on its way from stored bytes to the nodes, taken one block at a time, so that a
// worker can have many on their way and hash them side by side:
//
//   while (stream.decode() == Step::moved) {
//     hash(stream.to_hash());
//     stream.hashed();
//   }
//
// A file of less than a block touches no disk before it is proven. What these throw besides
// Error{corrupt} ends the restore; after Error{corrupt} the file has to be fetched again, and
// give_up() takes back what was counted.
class FileStream {
 public:
  FileStream(const Pass& pass, WriteQueue& queue, std::size_t block, std::uint32_t index,
             StoredBytes stored);
  ~FileStream();

  std::uint32_t index() const { return index_; }
  std::uint64_t came() const { return came_; }  // plain bytes

  // Decodes until there is a block to hash. ended: the file is whole and on its way to the disks.
  Activity::Step decode();
  codec::Sha1Lanes::Piece to_hash();
  void hashed();

  // Gives the plain bytes that take_progress() would still have told of.
  std::uint64_t give_up();
  // Plain bytes that came since the last call.
  std::uint64_t take_progress();

 private:
  class Collector;
  struct Filled {
    ByteView bytes;
    std::shared_ptr<const void> owner;
  };

  std::span<std::byte> room();
  void take_plain(ByteView bytes);
  void push_filling();
  void push(Filled filled);
  void write(const Filled& filled);
  void prove_and_finish();

  const Pass& pass_;
  WriteQueue& queue_;
  const std::size_t block_size_;
  const std::uint32_t index_;
  const repository::ManifestFile& file_;
  Count count_;
  StoredBytes stored_;
  std::size_t bite_;  // how much to decode at once
  std::unique_ptr<Collector> collector_;
  std::optional<Decoder> decoder_;  // none where stored bytes are the plain ones
  codec::Sha1Hasher hasher_;
  std::shared_ptr<QueuedFile> output_;  // from the first write on

  Block filling_;
  std::size_t filled_ = 0;
  std::array<std::byte, 16> surplus_;  // room for what must not come: it is told by being there
  std::optional<Filled> next_;         // what is hashed next
  std::optional<Filled> after_;        // and what after it
  bool decoded_ = false;
  std::uint64_t came_ = 0;     // plain bytes
  std::uint64_t written_ = 0;  // handed on for writing
  std::uint64_t told_ = 0;
};

}  // namespace pgrevive::restore
