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

struct Choice {
  Kernel kernel = Kernel::portable;
  std::size_t width = 1;
  std::size_t fewest = std::numeric_limits<std::size_t>::max();
};

// A kernel takes the same time for one busy lane as for all of them, so it wins from as many
// streams on as fit one after the other into that time.
Choice measure() {
  constexpr std::size_t kBlocks = 32;
  std::array<std::byte, kBlocks * kSha1Block> bytes{};
  std::array<std::uint32_t, 5 * kWidest> words{};
  std::array<const std::byte*, kWidest> data;
  data.fill(bytes.data());

  const auto alone = shortest([&] { sha1_blocks(words.data(), bytes.data(), kBlocks); });
  Choice best;
  auto best_share = alone;  // per stream
  for (const Lanes& lanes : kLanes) {
    if (lanes.blocks == nullptr || !lanes.runs_here()) continue;
    const auto together = shortest([&] { lanes.blocks(words.data(), data.data(), kBlocks); });
    const auto share = together / static_cast<std::int64_t>(lanes.width);
    if (share >= best_share) continue;
    best_share = share;
    best = {.kernel = lanes.kernel,
            .width = lanes.width,
            .fewest = static_cast<std::size_t>(together / std::max(alone, decltype(alone)(1))) + 1};
  }
  return best;
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
  static const Choice choice = measure();
  kernel_ = choice.kernel;
  width_ = choice.width;
  fewest_ = choice.fewest;
}

Sha1Lanes::Sha1Lanes(Kernel kernel)
    : kernel_(kernel),
      width_(lanes_of(kernel).width),
      fewest_(width_ > 1 ? 2 : std::numeric_limits<std::size_t>::max()) {}

void Sha1Lanes::run(std::span<Stream> streams) const {
  if (streams.size() < fewest_) {
    for (Stream& stream : streams) stream.do_alone();
    return;
  }
  const Sha1LaneKernel blocks = lanes_of(kernel_).blocks;
  alignas(64) std::array<std::uint32_t, 5 * kWidest> words{};
  std::array<const std::byte*, kWidest> data{};
  std::array<Stream*, kWidest> lanes{};
  const auto word = [&](std::size_t row, std::size_t lane) -> std::uint32_t& {
    return words[row * width_ + lane];
  };
  const auto enter = [&](std::size_t lane, Stream& stream) {
    lanes[lane] = &stream;
    for (std::size_t row = 0; row < 5; ++row) word(row, lane) = stream.words[row];
  };
  const auto leave = [&](std::size_t lane) {
    for (std::size_t row = 0; row < 5; ++row) lanes[lane]->words[row] = word(row, lane);
  };

  // The longest first, so that no long one is left over at the end with the other lanes empty.
  if (streams.size() > width_) {
    std::ranges::sort(streams, std::greater(), &Stream::total);
  }
  auto next = streams.begin();
  std::size_t busy = 0;
  while (busy < width_ && next != streams.end()) enter(busy++, *next++);

  while (busy >= fewest_) {
    std::size_t steps = std::numeric_limits<std::size_t>::max();
    for (std::size_t lane = 0; lane < busy; ++lane) {
      data[lane] = lanes[lane]->run().data;
      steps = std::min(steps, lanes[lane]->run().blocks);
    }
    // An idle lane repeats another's work, for nobody.
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(busy), data.end(), data[0]);
    blocks(words.data(), data.data(), steps);

    // Backwards, because the place of a lane that ends is taken by the last one.
    for (std::size_t lane = busy; lane-- > 0;) {
      lanes[lane]->advance(steps);
      if (!lanes[lane]->done()) continue;
      leave(lane);
      if (next != streams.end()) {
        enter(lane, *next++);
      } else if (lane != --busy) {
        leave(busy);
        enter(lane, *lanes[busy]);
      }
    }
  }
  for (std::size_t lane = 0; lane < busy; ++lane) {
    leave(lane);
    lanes[lane]->do_alone();
  }
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
