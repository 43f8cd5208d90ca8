#include "restore/engine.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/error.h"
#include "restore/block_jobs.h"
#include "restore/fetch.h"

namespace pgrevive::restore {

namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kMostFiles = 16;  // as many as have a lane in the hash
constexpr std::uint64_t kLargestBlock = kMiB;
constexpr std::uint64_t kSmallestBlock = 64 * kKiB;

// What the state of one decoder takes; of zst at the levels that people use.
std::uint64_t decoder_memory(codec::CompressType type) {
  switch (type) {
    case codec::CompressType::none:
      return 0;
    case codec::CompressType::zst:
      return 3 * kMiB;
    case codec::CompressType::bz2:
      return 4 * kMiB;
    default:
      return kMiB;
  }
}

// Workers have many files of many nodes open at a time, and the usual soft limit is 1024. What is
// started later gets the old limit again: there are programs that call select().
class ManyDescriptors {
 public:
  ManyDescriptors() {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) return;
    const rlimit all{before_.rlim_max, before_.rlim_max};
    raised_ = ::setrlimit(RLIMIT_NOFILE, &all) == 0;
  }
  ~ManyDescriptors() {
    if (raised_) ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  ManyDescriptors(const ManyDescriptors&) = delete;
  ManyDescriptors& operator=(const ManyDescriptors&) = delete;

 private:
  rlimit before_{};
  bool raised_ = false;
};

class Engine {
 public:
  Engine(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
         const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
         std::stop_token stop)
      : shares_(limits.shares(nodes.manifest.compress_type)),
        memory_(limits.memory),
        pass_(repository, nodes, plan, wanted, memory_, report),
        fetcher_(
            repository.storage(),
            {.requests = limits.requests,
             .workers = limits.jobs,
             .tasks = limits.jobs * static_cast<unsigned>(shares_.worker.files),
             .memory = shares_.stored,
             .piece = shares_.plan.piece},
            [this] { return next_task(); }, memory_, report, std::move(stop)),
        blocks_(pass_, shares_.plan, fetcher_,
                [this](unsigned worker, std::unique_ptr<Activity> activity) {
                  workers_.at(worker)->begin(std::move(activity));
                }) {
    if (nodes.manifest.compress_type == codec::CompressType::bz2 && limits.jobs > 1) {
      pass_.bz2 = std::make_unique<codec::Bz2Threads>(limits.jobs);
    }
    for (unsigned i = 0; i < limits.jobs; ++i) {
      workers_.push_back(std::make_unique<Worker>(pass_, fetcher_, blocks_, i, shares_.worker));
    }
  }

  void run() {
    std::vector<std::jthread> threads;
    try {
      for (const auto& worker : workers_) {
        threads.emplace_back([this, &worker, i = threads.size()] {
          ::pthread_setname_np(::pthread_self(), fmt::format("pgrevive-w{:02}", i % 100).c_str());
          work(*worker);
        });
      }
    } catch (const std::system_error& error) {
      // The system gives us no more threads; those that there are do all the work.
      if (threads.empty()) {
        throw Error(ErrorKind::system, fmt::format("cannot start a thread: {}", error.what()));
      }
      for (auto i = threads.size(); i < workers_.size(); ++i) {
        fetcher_.set_full(static_cast<unsigned>(i), true);
      }
    }
    threads.clear();  // joins
    // What is left of tasks that were begun tells the fetcher that it is gone.
    for (auto& worker : workers_) worker.reset();
    if (const auto error = fetcher_.failure()) std::rethrow_exception(error);
    if (fetcher_.stopping()) {
      throw Error(ErrorKind::cancelled, "the restore was stopped")
          .with_hint("run the same command again: it continues where it stopped");
    }
  }

 private:
  void work(Worker& worker) {
    try {
      worker.run();
    } catch (const Error& error) {
      // A worker that is told to stop has nothing to say about why.
      const bool told = error.kind() == ErrorKind::cancelled && fetcher_.stopping();
      if (!told) fetcher_.fail(std::current_exception());
    } catch (...) {
      fetcher_.fail(std::current_exception());
    }
  }

  // The next job of the plan as pieces to fetch. Called by the fetcher, one call at a time.
  std::optional<Task> next_task() {
    const auto& plan = pass_.plan;
    if (next_job_ == plan.jobs.size()) return std::nullopt;
    const auto& job = plan.jobs[next_job_++];
    Task task;
    if (job.kind != JobKind::empty) {
      const auto object = pass_.object_of(pass_.file(plan.files[job.first]));
      const auto piece = shares_.plan.piece;
      for (std::uint64_t at = 0; at < job.length; at += piece) {
        task.pieces.push_back({object, {job.offset + at, std::min(piece, job.length - at)}});
      }
    }
    if (job.kind == JobKind::range) {
      for (std::uint32_t i = 0; i < job.count; ++i) {
        task.load += pass_.file(plan.files[job.first + i]).size;
      }
    }
    task.work = [this, &job](Delivery& delivery) {
      workers_[delivery.worker()]->begin(job, delivery);
    };
    return task;
  }

  const EngineLimits::Shares shares_;
  Memory memory_;
  Pass pass_;
  std::size_t next_job_ = 0;  // guarded by the fetcher's lock
  Fetcher fetcher_;           // after what its threads use
  BlockJobs blocks_;
  std::vector<std::unique_ptr<Worker>> workers_;  // what they have begun tells the fetcher
};

}  // namespace

EngineLimits::Shares EngineLimits::shares(codec::CompressType type) const {
  // Half for what is being decoded and written: for each file a block that is being filled and one
  // that is being written, and the decoder.
  const auto each = memory / 2 / std::max(jobs, 1u);
  const auto block =
      std::clamp(std::bit_floor(each / (4 * kMostFiles)), kSmallestBlock, kLargestBlock);
  const auto files =
      std::clamp<std::uint64_t>(each / (2 * block + decoder_memory(type)), 1, kMostFiles);
  Shares shares;
  shares.worker = {.files = files, .block = block, .writes = static_cast<unsigned>(2 * files)};
  shares.stored = memory - std::min(memory, jobs * files * (2 * block + decoder_memory(type)));
  shares.plan.piece =
      Fetcher::piece_size(shares.stored, static_cast<unsigned>(jobs * files), piece);
  return shares;
}

EngineLimits limits_of(const Options& options, const repository::Manifest& manifest,
                       const storage::Advice& advice) {
  const auto processors = std::max(std::thread::hardware_concurrency(), 1u);
  const auto taken = manifest.memory() + plan_memory(manifest);
  return {.jobs = options.jobs != 0 ? options.jobs : processors,
          .requests = options.requests != 0 ? options.requests : advice.requests,
          .memory = std::max(options.memory - std::min(options.memory, taken), options.memory / 4),
          .piece = advice.request};
}

void run_plan(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
              const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
              std::stop_token stop) {
  const ManyDescriptors many;
  Engine(repository, nodes, plan, wanted, limits, report, std::move(stop)).run();
}

}  // namespace pgrevive::restore
