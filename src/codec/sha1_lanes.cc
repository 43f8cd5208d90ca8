#include "codec/sha1_lanes.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>

#include "base/error.h"
#include "codec/sha1_blocks.h"
#include "codec/sha1_kernels.h"

namespace pgrevive::codec {
namespace {

using Kernel = Sha1Lanes::Kernel;

constexpr std::size_t kWidest = 16;

struct Lanes {
  Kernel kernel;
  std::string_view name;
  std::size_t width;
  Sha1LaneKernel blocks;
  bool (*runs_here)();
};

constexpr std::array kLanes = {
    Lanes{Kernel::portable, "portable", 1, nullptr, [] { return true; }},
#if defined(__x86_64__)
    Lanes{Kernel::avx2, "avx2", kSha1Avx2Width, sha1_blocks_avx2,
          [] { return __builtin_cpu_supports("avx2") != 0; }},
    Lanes{Kernel::avx512, "avx512", kSha1Avx512Width, sha1_blocks_avx512,
          [] {
            return __builtin_cpu_supports("avx512f") != 0 &&
                   __builtin_cpu_supports("avx512bw") != 0;
          }},
#endif
};

const Lanes& lanes_of(Kernel kernel) {
  const auto found = std::ranges::find(kLanes, kernel, &Lanes::kernel);
  if (found == kLanes.end() || !found->runs_here()) {
    throw Error(ErrorKind::internal, "this CPU has not the SHA-1 kernel that was asked for");
  }
  return *found;
}

// The states of the streams in the lanes, as the kernels want them: five rows of a word per lane.
class LaneState {
 public:
  explicit LaneState(std::size_t width) : width_(width) {}
  std::uint32_t* words() { return words_.data(); }

  void enter(std::size_t lane, const std::uint32_t* from) {
    for (std::size_t row = 0; row < 5; ++row) words_[row * width_ + lane] = from[row];
  }
  void leave(std::size_t lane, std::uint32_t* to) const {
    for (std::size_t row = 0; row < 5; ++row) to[row] = words_[row * width_ + lane];
  }

 private:
  std::size_t width_;
  alignas(64) std::array<std::uint32_t, 5 * kWidest> words_{};
};

// The shortest time that `run` took: whatever else the machine does makes it longer only.
template <typename Run>
std::chrono::nanoseconds shortest(Run run) {
  auto result = std::chrono::nanoseconds::max();
  for (int i = 0; i < 8; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    run();
    result = std::min<std::chrono::nanoseconds>(result, std::chrono::steady_clock::now() - begun);
  }
  return result;
}

// A kernel takes the same time for one busy lane as for all of them, so it wins from as many
// streams on as fit one after the other into that time. A narrower kernel that takes less time wins
// for as many streams as it has lanes.
std::vector<Sha1Lanes::Level> measure() {
  constexpr std::size_t kBlocks = 32;
  std::array<std::byte, kBlocks * kSha1Block> bytes{};
  std::array<std::uint32_t, 5 * kWidest> words{};
  std::array<const std::byte*, kWidest> data;
  data.fill(bytes.data());

  const auto alone = std::max<std::chrono::nanoseconds>(
      shortest([&] { sha1_blocks(words.data(), bytes.data(), kBlocks); }),
      std::chrono::nanoseconds(1));
  std::vector<Sha1Lanes::Level> levels;
  auto fastest = std::chrono::nanoseconds::max();
  std::size_t covered = 0;  // streams that a faster kernel has lanes for
  for (const Lanes& lanes : kLanes) {
    if (lanes.blocks == nullptr || !lanes.runs_here()) continue;
    const auto time = shortest([&] { lanes.blocks(words.data(), data.data(), kBlocks); });
    if (time <= fastest) levels.clear();  // wider and faster: nobody needs the narrower one
    const auto fewest =
        std::max(static_cast<std::size_t>(time / alone) + 1, levels.empty() ? 0 : covered + 1);
    if (fewest > lanes.width) continue;
    levels.insert(levels.begin(), {lanes.kernel, lanes.width, fewest});
    fastest = time;
    covered = lanes.width;
  }
  return levels;
}

}  // namespace

// What is left to do of one stream: up to three runs of blocks that do not lie side by side (the
// block begun by an earlier piece, the piece itself, the padding).
struct Sha1Lanes::Stream {
  struct Run {
    const std::byte* data;
    std::size_t blocks;
  };

  std::uint32_t* words;
  std::array<Run, 3> runs{};
  std::size_t first = 0;  // of the runs that are left
  std::size_t count = 0;
  std::size_t total = 0;  // blocks

  void add(const std::byte* data, std::size_t blocks) {
    if (blocks == 0) return;
    runs[count++] = {data, blocks};
    total += blocks;
  }
  Run& run() { return runs[first]; }
  bool done() const { return first == count; }

  void advance(std::size_t blocks) {
    run().data += blocks * kSha1Block;
    run().blocks -= blocks;
    if (run().blocks == 0) ++first;
  }

  void do_alone() {
    for (; !done(); ++first) sha1_blocks(words, run().data, run().blocks);
  }
};

std::string_view Sha1Lanes::name(Kernel kernel) {
  return std::ranges::find(kLanes, kernel, &Lanes::kernel)->name;
}

std::vector<Sha1Lanes::Kernel> Sha1Lanes::kernels() {
  std::vector<Kernel> result;
  for (const Lanes& lanes : kLanes) {
    if (lanes.runs_here()) result.push_back(lanes.kernel);
  }
  return result;
}

Sha1Lanes::Sha1Lanes() {
  static const std::vector<Level> measured = measure();
  levels_ = measured;
}

Sha1Lanes::Sha1Lanes(std::span<const Kernel> kernels) {
  for (const Kernel kernel : kernels) {
    const Lanes& lanes = lanes_of(kernel);
    if (lanes.blocks == nullptr) continue;
    if (!levels_.empty()) levels_.back().fewest = lanes.width + 1;
    levels_.push_back({kernel, lanes.width, 2});
  }
}

void Sha1Lanes::run(std::span<Stream> streams) const {
  // The longest first, so that no long one is left over at the end with the other lanes empty.
  if (streams.size() > width()) std::ranges::sort(streams, std::greater(), &Stream::total);
  std::array<Stream*, kWidest> busy{};
  std::size_t count = 0;
  auto next = streams.begin();
  // With fewer and fewer streams left, the narrower kernels have their turn.
  for (const Level& level : levels_) {
    if (count + static_cast<std::size_t>(streams.end() - next) < level.fewest) continue;
    // The wider kernel may have been left with more streams than this one has lanes for.
    while (count > level.width) busy[--count]->do_alone();
    LaneState lanes(level.width);
    for (std::size_t lane = 0; lane < count; ++lane) lanes.enter(lane, busy[lane]->words);
    while (count < level.width && next != streams.end()) {
      lanes.enter(count, next->words);
      busy[count++] = &*next++;
    }
    const Sha1LaneKernel blocks = lanes_of(level.kernel).blocks;
    while (count >= level.fewest) {
      std::array<const std::byte*, kWidest> data{};
      std::size_t steps = std::numeric_limits<std::size_t>::max();
      for (std::size_t lane = 0; lane < count; ++lane) {
        data[lane] = busy[lane]->run().data;
        steps = std::min(steps, busy[lane]->run().blocks);
      }
      // An idle lane repeats another's work, for nobody.
      std::fill(data.begin() + static_cast<std::ptrdiff_t>(count), data.end(), data[0]);
      blocks(lanes.words(), data.data(), steps);

      // Backwards, because the place of a lane that ends is taken by the last one.
      for (std::size_t lane = count; lane-- > 0;) {
        busy[lane]->advance(steps);
        if (!busy[lane]->done()) continue;
        lanes.leave(lane, busy[lane]->words);
        if (next != streams.end()) {
          busy[lane] = &*next++;
        } else if (--count != lane) {
          lanes.leave(count, busy[count]->words);
          busy[lane] = busy[count];
        } else {
          continue;
        }
        lanes.enter(lane, busy[lane]->words);
      }
    }
    for (std::size_t lane = 0; lane < count; ++lane) lanes.leave(lane, busy[lane]->words);
  }
  for (std::size_t lane = 0; lane < count; ++lane) busy[lane]->do_alone();
  for (; next != streams.end(); ++next) next->do_alone();
}

void Sha1Lanes::update(std::span<const Piece> pieces) const {
  std::vector<Stream> streams;
  streams.reserve(pieces.size());
  for (const auto& [hasher, bytes] : pieces) {
    const std::size_t used = hasher->size_ % kSha1Block;
    const std::size_t taken = used > 0 ? std::min(bytes.size(), kSha1Block - used) : 0;
    std::copy_n(bytes.data(), taken, hasher->rest_.data() + used);
    Stream stream{.words = hasher->words_.data()};
    if (used > 0 && used + taken == kSha1Block) stream.add(hasher->rest_.data(), 1);
    stream.add(bytes.data() + taken, (bytes.size() - taken) / kSha1Block);
    if (stream.total > 0) streams.push_back(stream);
  }
  run(streams);
  // Only here, because what is kept for the next call takes the place of what was kept for this.
  for (const auto& [hasher, bytes] : pieces) {
    const std::size_t used = hasher->size_ % kSha1Block;
    hasher->size_ += bytes.size();
    if (used + bytes.size() < kSha1Block && used > 0) continue;
    const ByteView tail = bytes.last(hasher->size_ % kSha1Block);
    std::copy_n(tail.data(), tail.size(), hasher->rest_.data());
  }
}

void Sha1Lanes::of_each(std::span<const ByteView> buffers, std::span<Sha1> results) const {
  std::vector<Stream> streams;
  streams.reserve(buffers.size());
  std::vector states(buffers.size(), Sha1Hasher().words_);
  const auto tails = std::make_unique_for_overwrite<Sha1Tail[]>(buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const ByteView bytes = buffers[i];
    const std::size_t whole = bytes.size() / kSha1Block;
    Stream stream{.words = states[i].data()};
    stream.add(bytes.data(), whole);
    stream.add(tails[i].bytes.data(),
               tails[i].end(bytes.subspan(whole * kSha1Block), bytes.size()));
    streams.push_back(stream);
  }
  run(streams);
  for (std::size_t i = 0; i < buffers.size(); ++i) results[i] = sha1_value(states[i].data());
}

}  // namespace pgrevive::codec
