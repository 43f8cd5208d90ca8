#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "restore/write/output_file.h"

namespace pgrevive::restore {

// A file some of whose writes may still be under way. Belongs to one queue.
struct QueuedFile {
  explicit QueuedFile(OutputFile file) : output(std::move(file)) {}

  OutputFile output;
  unsigned under_way = 0;
  std::function<void()> when_whole;  // set once all has been written
};

// Writes blocks to files while its thread does something else: to outputs that are direct by
// io_uring, several at a time and without a copy, to the others at once. Used by one thread.
//
// Where the system gives us no ring (an old kernel, a sandbox), available() is false and no file
// may be made direct.
class WriteQueue {
 public:
  explicit WriteQueue(unsigned most_under_way);
  ~WriteQueue();  // waits for what is under way
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  bool available() const;
  bool idle() const;

  // For direct outputs `bytes` begin at a page, in memory and in the file, and the memory goes on
  // to the end of their last page; only the last block of a file may end within a page. `owner`
  // keeps the memory until it has been written. Waits while too much is under way.
  void write(const std::shared_ptr<QueuedFile>& file, std::uint64_t offset, ByteView bytes,
             std::shared_ptr<const void> owner);
  // Finishes the file when its writes are done, and then calls `whole`.
  void finish(const std::shared_ptr<QueuedFile>& file, std::function<void()> whole);

  // These throw what a write failed with. Sees to the writes that are done by now:
  void collect();
  void wait_for_one();  // of which at least one is under way
  void wait_for_all();

 private:
  struct Ring;
  std::unique_ptr<Ring> ring_;
  unsigned most_;
};

}  // namespace pgrevive::restore
