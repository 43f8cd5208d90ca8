#pragma once

#include <cstddef>
#include <memory>

#include "codec/sink.h"

namespace pgrevive::codec {

// Threads that decode blocks of bz2 streams, for any number of streams at once.
//
// Any thread may call anything. Outlives the sinks that were made with it.
class Bz2Threads {
 public:
  explicit Bz2Threads(std::size_t count);
  ~Bz2Threads();

  class Pool;
  Pool& pool() { return *pool_; }

 private:
  std::unique_ptr<Pool> pool_;
};

// As make_decompressor(CompressType::bz2, ...), with the blocks of the stream decoded on `threads`
// and handed to `next` in their order by the thread that calls. Damage may be reported later than
// by the other, at finish() at the latest.
//
// A stream of one block (900 kB of pages) is decoded by finish() on the calling thread. Of longer
// ones two blocks are in flight for each thread, over all streams together, and at least one for
// each stream: a block needs about 2 MB, and up to 10 MB while a thread decodes it.
std::unique_ptr<Sink> make_parallel_bz2(Bz2Threads& threads, Sink& next);

}  // namespace pgrevive::codec
