#include "codec/parallel_bz2.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <deque>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <pthread.h>

#include "base/error.h"
#include "base/guarded.h"
#include "codec/bz2_block.h"
#include "codec/compress.h"

namespace pgrevive::codec {
namespace {

// No block is as long: 900,000 symbols of 20 bits at most, and its tables.
constexpr std::size_t kLongestBlock = 4u << 20;

// As much as the other decompressors hand on at once.
constexpr std::size_t kPieceSize = 256u << 10;

constexpr std::size_t kHeaderSize = 4;
constexpr std::size_t kEndBits = kBz2MagicBits + 32;

struct Job {
  explicit Job(Bz2Block what) : block(std::move(what)) {}

  Bz2Block block;            // of the thread that decodes until `state` is done, then of the sink
  std::exception_ptr error;  // the same
  enum class State { waiting, running, done } state = State::waiting;  // guarded by the pool
};
using JobPointer = std::shared_ptr<Job>;

}  // namespace

class Bz2Threads::Pool {
 public:
  explicit Pool(std::size_t count) : most_(2 * count) {
    try {
      for (std::size_t i = 0; i < count; ++i) {
        threads_.emplace_back([this, i] {
          ::pthread_setname_np(::pthread_self(), fmt::format("pgrevive-b{:02}", i % 100).c_str());
          work();
        });
      }
    } catch (const std::system_error& error) {
      // The system gives us no more threads; those that there are do all the work.
      if (threads_.empty()) {
        throw Error(ErrorKind::system, fmt::format("cannot start a thread: {}", error.what()));
      }
    }
  }

  ~Pool() {
    state_.lock()->ending = true;
    work_.notify_all();
  }

  // False if there is no room for more; a job that `must` go finds room always.
  bool submit(const JobPointer& job, bool must) {
    {
      auto state = state_.lock();
      if (state->in_flight >= most_ && !must) return false;
      ++state->in_flight;
      state->waiting.push_back(job);
    }
    work_.notify_one();
    return true;
  }

  bool is_done(const Job& job) {
    const auto state = state_.lock();
    return job.state == Job::State::done;
  }

  void wait(const Job& job) {
    state_.lock().wait(done_, [&] { return job.state == Job::State::done; });
  }

  // Its room is free again; if nobody has begun it, nobody will.
  void release(const JobPointer& job) {
    auto state = state_.lock();
    --state->in_flight;
    if (job->state == Job::State::waiting) std::erase(state->waiting, job);
  }

 private:
  struct State {
    std::deque<JobPointer> waiting;
    std::size_t in_flight = 0;
    bool ending = false;
  };

  void work() {
    for (;;) {
      JobPointer job;
      {
        auto state = state_.lock();
        state.wait(work_, [&] { return state->ending || !state->waiting.empty(); });
        if (state->ending) return;
        job = std::move(state->waiting.front());
        state->waiting.pop_front();
        job->state = Job::State::running;
      }
      try {
        job->block.decode();
      } catch (...) {
        job->error = std::current_exception();
      }
      {
        auto state = state_.lock();
        job->state = Job::State::done;
      }
      done_.notify_all();
    }
  }

  std::size_t most_;
  Guarded<State> state_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::vector<std::jthread> threads_;
};

Bz2Threads::Bz2Threads(std::size_t count) : pool_(std::make_unique<Pool>(count)) {}
Bz2Threads::~Bz2Threads() = default;

namespace {

class ParallelBz2 : public Sink {
 public:
  ParallelBz2(Bz2Threads::Pool& pool, Sink& next) : pool_(pool), next_(next) {}
  ~ParallelBz2() override {
    for (const Part& part : parts_) release(part);
  }

  void write(ByteView bytes) override {
    if (serial_) return serial_->write(bytes);
    try {
      take(bytes);
    } catch (...) {
      failed_ = true;
      throw;
    }
  }

  void finish() override {
    if (failed_) throw Error(ErrorKind::corrupt, "bz2 stream is damaged");
    if (!serial_ && !cut_) become_serial();
    if (serial_) return serial_->finish();
    while (!parts_.empty() && consume_first()) {
    }
    end();
    next_.finish();
  }

 private:
  // A piece of the stream between two magics. The first of them begins where the block before it
  // ended, so it is known to be one; the others are believed to be.
  struct Part {
    JobPointer job;
    bool is_end;             // it begins with the magic of the stream's end
    bool submitted = false;  // to the pool
  };

  void take(ByteView bytes) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    Bz2Scanner::Found found{};
    while (scanner_.next(bytes, found)) {
      if (open_) {
        cut(found);
      } else if (!begins_with_header() || found.bit != kHeaderSize * 8) {
        return become_serial();
      }
      open_ = found;
    }
    if (cut_) drop_pending_before(open_->bit / 8);
    while (!parts_.empty() && is_ready(parts_.front()) && consume_first()) {
    }
    if (pending_.size() <= kLongestBlock) return;
    if (!cut_) return become_serial();
    while (!parts_.empty() && consume_first()) {
    }
    end();  // and it has not ended: this throws
  }

  bool begins_with_header() const {
    return as_text(ByteView(pending_).first(kHeaderSize - 1)) == "BZh" &&
           pending_[kHeaderSize - 1] >= std::byte{'1'} &&
           pending_[kHeaderSize - 1] <= std::byte{'9'};
  }

  // While nothing has been cut off it, the stream can still go the ordinary way from its beginning:
  // because it is short, or because it is no stream that we know how to cut.
  void become_serial() {
    serial_ = make_decompressor(CompressType::bz2, Form::standard, next_);
    const Bytes held = std::exchange(pending_, {});
    serial_->write(held);
  }

  void cut(const Bz2Scanner::Found& next) {
    if (!cut_) level_ = pending_[kHeaderSize - 1];
    cut_ = true;
    const auto offset = [&](std::uint64_t byte) {
      return pending_.begin() + static_cast<std::ptrdiff_t>(byte - pending_begin_);
    };
    const std::uint64_t last = (next.bit + kBz2MagicBits - 1) / 8;
    Bytes bytes(offset(open_->bit / 8), offset(last) + 1);
    const auto job =
        std::make_shared<Job>(Bz2Block(level_, open_->bit, next.bit, std::move(bytes)));
    parts_.push_back({.job = job, .is_end = open_->is_end});
    // The part may be joined to an earlier one while there is no room for it.
    while (!parts_.empty() && parts_.back().job == job && !submit(parts_.back())) {
      if (!consume_first()) break;
    }
  }

  // False if there is no room for it.
  bool submit(Part& part) {
    if (part.is_end) return true;
    part.submitted = pool_.submit(part.job, in_flight_ == 0);
    if (part.submitted) ++in_flight_;
    return part.submitted;
  }

  bool is_ready(const Part& part) { return !part.submitted || pool_.is_done(*part.job); }

  void release(const Part& part) {
    if (!part.submitted) return;
    pool_.release(part.job);
    --in_flight_;
  }

  // Hands on what the first part gives, waiting for it. False if it turns out to be longer and the
  // rest of it is not here.
  bool consume_first() {
    Part& part = parts_.front();
    Bz2Block& block = part.job->block;
    if (part.is_end) check_end(block.begin(), block.bytes());
    if (part.submitted) pool_.wait(*part.job);
    if (part.job->error) std::rethrow_exception(part.job->error);
    for (;;) {
      for (const auto& output : block.take_output()) hand_on({output.bytes.get(), output.size});
      if (block.state() != Bz2Block::State::running) break;
      block.decode();
    }
    if (block.state() == Bz2Block::State::incomplete) return join_first();
    crc_ = std::rotl(crc_, 1) ^ block.crc();
    release(part);
    parts_.pop_front();
    return true;
  }

  bool join_first() {
    if (parts_.size() < 2) return false;
    const Part first = parts_[0];
    const Part second = parts_[1];
    release(second);
    release(first);
    parts_.pop_front();
    parts_.front() = {.job = std::make_shared<Job>(first.job->block.joined(second.job->block)),
                      .is_end = false};
    return true;
  }

  void hand_on(ByteView bytes) {
    while (!bytes.empty()) {
      const ByteView piece = bytes.first(std::min(bytes.size(), kPieceSize));
      next_.write(piece);
      bytes = bytes.subspan(piece.size());
    }
  }

  void drop_pending_before(std::uint64_t byte) {
    pending_.erase(pending_.begin(),
                   pending_.begin() + static_cast<std::ptrdiff_t>(byte - pending_begin_));
    pending_begin_ = byte;
  }

  // All of the stream is in `parts_`, of which one at most is left, and `pending_`.
  void end() {
    if (!parts_.empty()) {
      const Bz2Block& first = parts_.front().job->block;
      const Bz2Block all = first.joined({level_, open_->bit, open_->bit, pending_});
      refuse_bz2(level_, all.begin(), all.bytes());
    }
    if (!open_->is_end) refuse_bz2(level_, open_->bit, pending_);
    check_end(open_->bit, pending_);
  }

  // `bytes` is what there is of the stream from the byte with that bit on, or part of it.
  void check_end(std::uint64_t begin, ByteView bytes) const {
    const std::size_t bits = begin % 8 + kEndBits;
    if (bytes.size() * 8 < bits) throw Error(ErrorKind::corrupt, "bz2 stream is truncated");
    if (bz2_crc_at(begin, bytes) != crc_) throw_damaged(Bz2Decoder::kName, "invalid data");
    if (bytes.size() > (bits + 7) / 8) throw_after_end();
  }

  [[noreturn]] static void throw_after_end() {
    throw Error(ErrorKind::corrupt, "bz2 stream goes on after its end");
  }

  Bz2Threads::Pool& pool_;
  Sink& next_;
  std::unique_ptr<Sink> serial_;
  bool failed_ = false;

  Bz2Scanner scanner_;
  Bytes pending_;                          // of the stream, what no part has
  std::uint64_t pending_begin_ = 0;        // the number of its first byte in the stream
  std::optional<Bz2Scanner::Found> open_;  // where the last part begins, whose end is not here
  bool cut_ = false;                       // parts have been taken off the stream
  std::byte level_{};

  std::deque<Part> parts_;
  std::size_t in_flight_ = 0;  // of the parts, in the pool
  std::uint32_t crc_ = 0;      // of all blocks so far
};

}  // namespace

std::unique_ptr<Sink> make_parallel_bz2(Bz2Threads& threads, Sink& next) {
  return std::make_unique<ParallelBz2>(threads.pool(), next);
}

}  // namespace pgrevive::codec
