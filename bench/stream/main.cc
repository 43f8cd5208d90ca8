// What does it cost to receive and prove large objects, where does the CPU time go, and does the
// memory stay what it was? Objects that a synthetic server makes up go the whole way of a restore
// (S3 client, fetchers, workers, SHA-1 in lanes, proof against the manifest) but for the disks:
// there are no nodes to write to.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <pthread.h>

#include "base/error.h"
#include "base/text.h"
#include "repository/layout.h"
#include "repository/repository.h"
#include "restore/engine.h"
#include "storage/s3/s3.h"
#include "stream/synthetic_objects.h"
#include "stream/synthetic_server.h"
#include "stream/thread_clocks.h"
#include "support/temp_dir.h"

namespace pgrevive::bench {

namespace {

using Seconds = std::chrono::duration<double>;

struct Options {
  std::uint64_t objects = 1000;
  std::uint64_t size = std::uint64_t{1} << 30;
  bool plain = false;
  bool tls = false;
  bool no_hash = false;
  unsigned jobs = std::max(std::thread::hardware_concurrency(), 1u);
  unsigned requests = storage::Advice().requests;
  std::uint64_t memory = restore::Options().memory;
};

struct Kind {
  bool tls = false;
  bool hash = true;

  std::string name() const {
    return fmt::format("{}{}", tls ? "TLS" : "plain", hash ? "" : ", not hashed");
  }
};

// "VmRSS" or "VmHWM" of this process, bytes.
std::uint64_t memory_of_process(std::string_view what) {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name; status.ignore(1000, '\n')) {
    std::uint64_t kib = 0;
    if (name == fmt::format("{}:", what) && status >> kib) return kib << 10;
  }
  return 0;
}

void forget_peak_of_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

// Keeps how much memory the process has when it is so far, and at the end.
class MemoryLog : public restore::Observer {
 public:
  static constexpr std::array<unsigned, 3> kPercent{1, 10, 50};

  void progress(const restore::Progress& progress) override {
    last_ = memory_of_process("VmRSS");
    while (next_ < kPercent.size() &&
           progress.bytes_done >= progress.bytes_total / 100 * kPercent[next_]) {
      resident_[next_++] = last_;
    }
  }
  void warning(const pgrevive::Notice& notice) override {
    fmt::print(stderr, "warning: {}\n", notice.text);
  }

  std::string text() const {
    std::string text;
    for (const auto bytes : resident_) {
      text += bytes == 0 ? fmt::format("{:>6}", "-") : fmt::format("{:6}", bytes >> 20);
    }
    return text + fmt::format("{:6}", last_ >> 20);
  }

 private:
  std::size_t next_ = 0;
  std::array<std::uint64_t, kPercent.size()> resident_{};  // 0: was over before it was seen
  std::uint64_t last_ = 0;
};

repository::Manifest make_manifest(const SyntheticObjects& objects) {
  repository::Manifest manifest;
  manifest.references = {manifest.label};
  for (std::uint64_t number = 0; number < objects.count(); ++number) {
    manifest.files.push_back({.name = manifest.keep("pg_data/" + SyntheticObjects::name(number)),
                              .size = objects.size(),
                              .repo_size = objects.size(),
                              .checksum = objects.checksum(number)});
  }
  return manifest;
}

// What there is to read, and how.
struct Work {
  const repository::Repository& repository;
  const repository::Manifest& manifest;
  const restore::EngineLimits& limits;
  restore::Report& report;
};

void restore_to_nowhere(const Work& work) {
  const restore::Layout layout;
  const restore::Owners owners(work.manifest, {}, {});
  const restore::Nodes nodes{.manifest = work.manifest, .layout = layout, .owners = owners};
  // Planned as for one node.
  const auto files = work.manifest.files.size();
  const auto plan = restore::make_plan(work.manifest, std::vector<restore::NodeMask>(files, 1),
                                       work.limits.shares(work.manifest.compress_type).plan);
  restore::run_plan(work.repository, nodes, plan, std::vector<restore::NodeMask>(files, 0),
                    work.limits, work.report, {});
}

// The same without workers that do anything with what comes.
void only_fetch(const Work& work) {
  const auto shares = work.limits.shares(work.manifest.compress_type);
  restore::Memory memory(work.limits.memory);
  auto file = work.manifest.files.begin();
  const auto next = [&]() -> std::optional<restore::Task> {
    if (file == work.manifest.files.end()) return {};
    const auto object =
        repository::layout::object_of(work.repository.stanza(), work.manifest, *file);
    restore::Task task;
    for (std::uint64_t at = 0; at < file->repo_size; at += shares.plan.piece) {
      task.pieces.push_back({object, {at, std::min(shares.plan.piece, file->repo_size - at)}});
    }
    ++file;
    return task;
  };
  const auto tasks = work.limits.jobs * static_cast<unsigned>(shares.worker.files);
  restore::Fetcher fetcher(work.repository.storage(),
                           {.requests = work.limits.requests,
                            .workers = work.limits.jobs,
                            .tasks = tasks,
                            .memory = shares.stored,
                            .piece = shares.plan.piece},
                           next, memory, work.report, {});
  std::vector<std::jthread> threads;
  // As many as workers have files on their way, since each waits for the next piece of its file.
  for (unsigned i = 0; i < tasks; ++i) {
    threads.emplace_back([&, worker = i % work.limits.jobs] {
      ::pthread_setname_np(::pthread_self(), fmt::format("pgrevive-w{:02}", worker % 100).c_str());
      try {
        while (const auto delivery = fetcher.take(worker)) {
          for (const auto& piece : delivery->pieces()) {
            delivery->next();
            work.report.written(piece.range.length);
          }
          fetcher.done(delivery);
        }
      } catch (...) {
        fetcher.fail(std::current_exception());
      }
    });
  }
  threads.clear();  // joins
  if (const auto error = fetcher.failure()) std::rethrow_exception(error);
}

// CPU seconds per GB.
struct Costs {
  double fetchers = 0;
  double workers = 0;
  double others = 0;
};

Costs measure(const Options& options, const SyntheticObjects& objects,
              const repository::Manifest& manifest, const Kind& kind) {
  const test::TempDir directory;
  SyntheticServer server(objects, kind.tls ? directory.path() : std::filesystem::path());
  const repository::Repository repository(storage::open_s3({.bucket = "bench",
                                                            .endpoint = server.endpoint(),
                                                            .region = "us-east-1",
                                                            .access_key = Secret("nobody"),
                                                            .secret_key = Secret("asks"),
                                                            .ca_file = server.ca_file()}),
                                          "main", {});
  const restore::EngineLimits limits{
      .jobs = options.jobs, .requests = options.requests, .memory = options.memory};
  const auto bytes = objects.count() * objects.size();

  forget_peak_of_memory();
  MemoryLog memory;
  restore::Report report(memory);
  report.expect(objects.count(), bytes);
  ThreadClocks clocks;
  const auto began = std::chrono::steady_clock::now();
  (kind.hash ? restore_to_nowhere : only_fetch)({repository, manifest, limits, report});
  const Seconds wall = std::chrono::steady_clock::now() - began;
  const auto times = clocks.stop();
  const auto peak = memory_of_process("VmHWM");
  const auto served = server.stop();
  if (const auto done = report.progress().bytes_done; done != bytes) {
    throw Error(ErrorKind::internal, fmt::format("{} of {} bytes came", done, bytes));
  }

  const double gb = static_cast<double>(bytes) / 1e9;
  const Costs costs{.fetchers = times.fetchers.count() / gb,
                    .workers = times.workers.count() / gb,
                    .others = times.others.count() / gb};
  fmt::print("{:18}{:7.1f}{:7.2f} |{:9.3f}{:9.3f}{:9.3f}{:9.3f} |{}{:6}\n", kind.name(),
             wall.count(), gb / wall.count(), costs.fetchers, costs.workers, costs.others,
             served.count() / gb, memory.text(), peak >> 20);
  std::fflush(stdout);
  return costs;
}

void print_shares(const Costs& plain, const Costs& tls) {
  const double all = tls.fetchers + tls.workers + tls.others;
  const auto percent = [&](double part) { return 100 * part / all; };
  fmt::print(
      "CPU time over TLS: {:.0f} % receive, {:.0f} % TLS, {:.0f} % hash, {:.0f} % all else\n",
      percent(plain.fetchers), percent(tls.fetchers - plain.fetchers), percent(tls.workers),
      percent(tls.others));
}

void measure_all(const Options& options) {
  ::setenv("no_proxy", "*", 1);  // one that the environment names shall not see these requests
  const SyntheticObjects objects(options.objects, options.size);
  const auto manifest = make_manifest(objects);

  std::array<double, 1> load{};
  ::getloadavg(load.data(), 1);
  fmt::print("{} objects of {}, {} jobs, {} requests, {} of memory; load before {:.1f}\n",
             options.objects, format_bytes(options.size), options.jobs, options.requests,
             format_bytes(options.memory), load[0]);
  fmt::print("{:18}{:>7}{:>7} |{:^36} |{:^30}\n", "", "", "", "CPU s per GB", "MiB resident at");
  fmt::print("{:18}{:>7}{:>7} |{:>9}{:>9}{:>9}{:>9} |", "", "s", "GB/s", "fetchers", "workers",
             "others", "server");
  for (const auto percent : MemoryLog::kPercent) fmt::print("{:>4} %", percent);
  fmt::print("{:>6}{:>6}\n", "end", "peak");

  if (options.plain || options.tls || options.no_hash) {
    for (const bool tls : {false, true}) {
      if (tls ? options.tls : options.plain || !options.tls) {
        measure(options, objects, manifest, {.tls = tls, .hash = !options.no_hash});
      }
    }
    return;
  }
  measure(options, objects, manifest, {.tls = false, .hash = false});
  measure(options, objects, manifest, {.tls = true, .hash = false});
  const auto plain = measure(options, objects, manifest, {.tls = false});
  const auto tls = measure(options, objects, manifest, {.tls = true});
  print_shares(plain, tls);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Reads synthetic objects the way a restore does, and stores nothing. Without --plain, --tls "
      "and --no-hash: all of these by turns, and what each costs.");
  app.add_option("--objects", options.objects, "How many")->check(CLI::PositiveNumber);
  app.add_option("--size", options.size, "Of each")->transform(CLI::AsSizeValue(false));
  app.add_flag("--plain", options.plain, "Only over plain HTTP");
  app.add_flag("--tls", options.tls, "Only over TLS");
  app.add_flag("--no-hash", options.no_hash, "Only fetch: no worker looks at what comes");
  app.add_option("--jobs", options.jobs, "Workers")->check(CLI::PositiveNumber);
  app.add_option("--requests", options.requests, "Under way at a time")->check(CLI::PositiveNumber);
  app.add_option("--memory", options.memory, "For all that is on its way")
      ->transform(CLI::AsSizeValue(false));
  CLI11_PARSE(app, argc, argv);
  measure_all(options);
  return 0;
}

}  // namespace

}  // namespace pgrevive::bench

int main(int argc, char** argv) {
  try {
    return pgrevive::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_stream: {}\n", error.what());
    return 1;
  }
}
