#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/hash.h"

namespace pgrevive::codec {

// Computes the SHA-1 of many streams side by side, one in each lane of the vector registers: 16
// with AVX-512, 8 with AVX2. One stream cannot be made faster, each of its blocks waits for the
// last; many together can, by 2 to 5 times.
//
//   const Sha1Lanes lanes;
//   lanes.update({{{&hasher_of_a, piece_of_a}, {&hasher_of_b, piece_of_b}, ...}});
//
// Which kernel is used for how many streams, and how many are better hashed one after the other, is
// measured once per process (about a tenth of a millisecond), because CPUs with SHA instructions
// and CPUs without them differ in it. The results are those of Sha1Hasher on every CPU.
//
// Immutable: any thread may call anything. A Sha1Hasher is used by one thread at a time.
class Sha1Lanes {
 public:
  enum class Kernel { portable, avx2, avx512 };
  static std::string_view name(Kernel kernel);
  // Those that this CPU and this build can run; portable is always one of them.
  static std::vector<Kernel> kernels();

  // The fastest kernels of this CPU.
  Sha1Lanes();
  // Those kernels, the widest first, each for more streams than the one behind it has lanes, the
  // last one from two streams on; for tests and measurements. They must be of kernels().
  explicit Sha1Lanes(std::span<const Kernel> kernels);

  // A kernel and the number of streams from which on it is the best.
  struct Level {
    Kernel kernel;
    std::size_t width;  // streams that it hashes at once
    std::size_t fewest;
  };
  // Those levels, the widest first; for tests.
  explicit Sha1Lanes(std::vector<Level> levels) : levels_(std::move(levels)) {}
  // The widest first; empty where the CPU has nothing better than one by one.
  const std::vector<Level>& levels() const { return levels_; }
  // How many streams are hashed at once, 1 without lanes. Gathering as many for a call pays best,
  // and more than that still keeps all lanes full.
  std::size_t width() const { return levels_.empty() ? 1 : levels_.front().width; }

  // The next bytes of a stream. The pieces of one call may have any lengths; a hasher may occur
  // once in it.
  struct Piece {
    Sha1Hasher* hasher;
    ByteView bytes;
  };
  // As hasher->update(bytes) for each piece.
  void update(std::span<const Piece> pieces) const;

  // As Sha1::of() for each of many whole buffers, padding included. `results` is as long as
  // `buffers`.
  void of_each(std::span<const ByteView> buffers, std::span<Sha1> results) const;

 private:
  struct Stream;
  void run(std::span<Stream> streams) const;

  std::vector<Level> levels_;
};

}  // namespace pgrevive::codec
