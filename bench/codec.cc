// What does each stage between the storage and the disk cost, per byte of plain data and per file?

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "codec/cipher.h"
#include "codec/compress.h"
#include "codec/hash.h"
#include "codec/parallel_bz2.h"
#include "codec/sha1_lanes.h"
#include "support/compressors.h"

namespace pgrevive::codec {
namespace {

// As much as one read from the storage hands over at once.
constexpr std::size_t kInput = 64u << 10;

// Takes everything and does nothing, so that only the stage before it is measured.
class NullSink : public Sink {
 public:
  void write(ByteView bytes) override { benchmark::DoNotOptimize(bytes.data()); }
  void finish() override {}
};

// Pages like those of a table of customers: a header, line pointers, and rows of numbers, times,
// hex tokens and words. Compresses about 2.5:1, as such tables do.
std::string pages(std::size_t size) {
  static constexpr std::string_view kWords[] = {"open",      "paid",   "shipped", "returned",
                                                "São Paulo", "Lisboa", "express", "standard"};
  std::mt19937_64 random(1);
  std::string text;
  while (text.size() < size) {
    std::string page(8192, '\0');
    std::size_t end = page.size();
    std::size_t pointer = 24;
    for (;;) {
      std::string row(24, '\0');  // the row's own header: transaction ids and flags
      row[0] = static_cast<char>(random() & 0x3f);
      row += std::to_string(1'700'000'000 + random() % 10'000'000) + " ";
      row += fmt::format("{:016x}{:016x}", random(), random());
      row += fmt::format(" customer{}@example.org ", random() % 100'000);
      for (int i = 0; i < 4; ++i) row += kWords[random() % std::size(kWords)];
      row.resize((row.size() + 7) / 8 * 8);
      if (pointer + 4 + row.size() > end) break;
      end -= row.size();
      std::memcpy(page.data() + end, row.data(), row.size());
      const auto where = static_cast<std::uint32_t>(end);
      std::memcpy(page.data() + pointer, &where, sizeof where);
      pointer += 4;
    }
    text += page;
  }
  text.resize(size);
  return text;
}

const std::string& plain(std::size_t size) {
  static std::map<std::size_t, std::string> made;
  auto& text = made[size];
  if (text.empty()) text = pages(size);
  return text;
}

void feed(Sink& sink, std::string_view stored) {
  while (!stored.empty()) {
    const auto part = stored.substr(0, kInput);
    sink.write(as_bytes(part));
    stored.remove_prefix(part.size());
  }
  sink.finish();
}

void count(benchmark::State& state, std::size_t plain_size, std::size_t stored_size) {
  state.SetBytesProcessed(static_cast<std::int64_t>(plain_size) * state.iterations());
  state.counters["ratio"] = static_cast<double>(plain_size) / static_cast<double>(stored_size);
}

void decompress(benchmark::State& state, CompressType type, Form form, Checksums checksums,
                std::string (*compress)(std::string_view)) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string stored = compress(plain(size));
  NullSink nothing;
  for (auto _ : state) {
    feed(*make_decompressor(type, form, nothing, checksums), stored);
  }
  count(state, size, stored.size());
}

std::string gz(std::string_view text) { return test::make_gzip(text); }
std::string gz_raw(std::string_view text) { return test::make_zlib(text); }
std::string bz2(std::string_view text) { return test::make_bz2(text); }
std::string lz4(std::string_view text) { return test::make_lz4(text, test::ContentChecksum::yes); }
std::string zst(std::string_view text) { return test::make_zst(text); }

void sizes(benchmark::internal::Benchmark* bench) {
  // A small catalogue file, a WAL segment.
  bench->Arg(8 << 10)->Arg(16 << 20);
}

constexpr auto kStandard = Form::standard;
constexpr auto kVerified = Checksums::verified;
BENCHMARK_CAPTURE(decompress, gz, CompressType::gz, kStandard, kVerified, gz)->Apply(sizes);
BENCHMARK_CAPTURE(decompress, gz_raw, CompressType::gz, Form::raw, kVerified, gz_raw)->Apply(sizes);
BENCHMARK_CAPTURE(decompress, lz4, CompressType::lz4, kStandard, kVerified, lz4)->Apply(sizes);
BENCHMARK_CAPTURE(decompress, lz4_skipping_checksums, CompressType::lz4, kStandard,
                  Checksums::skipped, lz4)
    ->Apply(sizes);
BENCHMARK_CAPTURE(decompress, zst, CompressType::zst, kStandard, kVerified, zst)->Apply(sizes);
BENCHMARK_CAPTURE(decompress, bz2, CompressType::bz2, kStandard, kVerified, bz2)
    ->Arg(8 << 10)
    ->Arg(16 << 20);

// One stream on many threads. The time to look at is the real one.
void bz2_in_parallel(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string stored = bz2(plain(size));
  Bz2Threads threads(static_cast<std::size_t>(state.range(1)));
  NullSink nothing;
  for (auto _ : state) feed(*make_parallel_bz2(threads, nothing), stored);
  count(state, size, stored.size());
}
BENCHMARK(bz2_in_parallel)
    ->ArgsProduct({{2 << 20, 64 << 20}, {1, 2, 4}})
    ->ArgNames({"", "threads"})
    ->UseRealTime()
    ->MeasureProcessCPUTime();

void decrypt(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string stored = test::make_salted(plain(size), "sesame");
  const Secret passphrase("sesame");
  NullSink nothing;
  for (auto _ : state) feed(*make_decryptor(passphrase, kStandard, nothing), stored);
  count(state, size, stored.size());
}
BENCHMARK(decrypt)->Apply(sizes);

template <typename Hash>
void hash(benchmark::State& state, Hash compute) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string& text = plain(size);
  for (auto _ : state) {
    const auto value = compute(as_bytes(text));
    benchmark::DoNotOptimize(&value);
  }
  count(state, size, size);
}
BENCHMARK_CAPTURE(hash, sha1, Sha1::of)->Apply(sizes);
BENCHMARK_CAPTURE(hash, sha256, sha256)->Apply(sizes);
BENCHMARK_CAPTURE(hash, xxh3_128, xxh3_128)->Apply(sizes);
BENCHMARK_CAPTURE(hash, crc32c, crc32c)->Apply(sizes);

void sha1_in_pieces(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string_view text = plain(size);
  Sha1Hasher hasher;
  for (auto _ : state) {
    for (std::size_t at = 0; at < size; at += kInput) {
      hasher.update(as_bytes(text.substr(at, kInput)));
    }
    const auto value = hasher.value();
    benchmark::DoNotOptimize(&value);
  }
  count(state, size, size);
}
BENCHMARK(sha1_in_pieces)->Apply(sizes);

// From how many streams on do the lanes beat one after the other? The arguments are kernel and
// number of streams, each of which has 64 KiB.
void sha1_side_by_side(benchmark::State& state) {
  const auto kernels = Sha1Lanes::kernels();
  const auto kernel = static_cast<std::size_t>(state.range(0));
  if (kernel >= kernels.size()) return state.SkipWithError("not on this CPU");
  const auto streams = static_cast<std::size_t>(state.range(1));
  const Sha1Lanes lanes{std::span(kernels).subspan(kernel, 1)};
  const std::string& text = plain(streams * kInput);
  std::vector<Sha1Hasher> hashers(streams);
  std::vector<Sha1Lanes::Piece> pieces;
  for (std::size_t i = 0; i < streams; ++i) {
    pieces.push_back({&hashers[i], as_bytes(text).subspan(i * kInput, kInput)});
  }
  for (auto _ : state) lanes.update(pieces);
  benchmark::DoNotOptimize(hashers.data());
  count(state, text.size(), text.size());
  state.SetLabel(std::string(Sha1Lanes::name(kernels[kernel])));
}
BENCHMARK(sha1_side_by_side)
    ->ArgsProduct({{0, 1, 2}, {2, 3, 4, 6, 8, 12, 16, 24, 64}})
    ->ArgNames({"kernel", "streams"});

// Files of a page or two, whole, as bundles are full of them.
void sha1_of_each(benchmark::State& state) {
  const auto streams = static_cast<std::size_t>(state.range(0));
  const Sha1Lanes lanes;
  const std::string& text = plain(streams * 8192);
  std::vector<ByteView> buffers;
  for (std::size_t i = 0; i < streams; ++i) {
    buffers.push_back(as_bytes(text).subspan(i * 8192, 8192));
  }
  std::vector<Sha1> results(streams);
  for (auto _ : state) lanes.of_each(buffers, results);
  benchmark::DoNotOptimize(results.data());
  count(state, text.size(), text.size());
  std::string label;
  for (const auto& level : lanes.levels()) {
    label += fmt::format("{} from {} streams on; ", Sha1Lanes::name(level.kernel), level.fewest);
  }
  state.SetLabel(label + "fewer one by one");
}
BENCHMARK(sha1_of_each)
    ->Arg(1)
    ->Arg(4)
    ->Arg(6)
    ->Arg(8)
    ->Arg(16)
    ->Arg(24)
    ->Arg(64)
    ->ArgName("streams");

}  // namespace
}  // namespace pgrevive::codec
