#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/guarded.h"
#include "restore/latencies.h"
#include "restore/memory.h"
#include "restore/report.h"
#include "storage/storage.h"

namespace pgrevive::restore {

// What one request brings: a range of one object.
struct Piece {
  std::string object;
  storage::Range range;
};

class Delivery;

// Pieces that a worker needs, in the order in which it needs them, and what it does with them.
struct Task {
  std::vector<Piece> pieces;
  std::function<void(Delivery&)> work;
  std::uint64_t load = 0;  // how much work it is, for a fair share
};

// Brings the bytes of tasks from the repository ahead of the workers that consume them, so that
// neither waits for the other: requests are threads of their own, many more than workers, and what
// they bring waits in memory, of which a bounded amount is in use.
//
// Which piece is fetched next:
//  1. the next piece of a task that a worker has begun and for which nothing is there or on its
//  way,
//     the oldest first. Memory for one piece for each worker is set aside for this;
//  2. else the next piece of the first task, in order, that holds less than its share of memory. If
//     it does not fit, no piece is fetched until memory comes free: a smaller one never overtakes.
// No deadlock is possible as long as no worker holds on to bytes of one task while it waits for
// another's: the oldest task that is begun is always served by rule 1; memory that waits for a
// worker belongs to tasks whose first piece is there or on its way, and a free worker takes those.
//
// Which task a worker gets: the first that can be begun, but only while no other worker that takes
// tasks has less to do; so the large files at the beginning are dealt out evenly.
//
// A request that takes far longer than others of its size (Latencies) is made a second time where a
// request is free for that and memory is; who comes first wins, and the other is stopped. At most
// one in twenty requests is a second one.
//
// Any thread may call anything.
class Fetcher {
 public:
  struct Limits {
    unsigned requests = 32;
    unsigned workers = 2;
    unsigned tasks = 2;  // that are begun at a time, by all workers together
    std::uint64_t memory = 256u << 20;
    std::uint64_t piece = 8u << 20;
  };
  // The largest piece, of `most` at most, with which each of `tasks` can have one.
  static std::uint64_t piece_size(std::uint64_t memory, unsigned tasks, std::uint64_t most);

  // `next` gives the tasks one after the other and then nothing; it is called under the lock, so
  // it only computes. `report` hears of requests and of bytes as they come. The bytes are kept in
  // blocks of `memory`, which outlives this.
  Fetcher(const storage::Storage& storage, const Limits& limits,
          std::function<std::optional<Task>()> next, Memory& memory, Report& report,
          std::stop_token stop);
  ~Fetcher();  // stops and joins

  // A task for worker number `worker`; waits for one. Empty when there will be none: all are done,
  // one failed, or a stop was requested.
  std::shared_ptr<Delivery> take(unsigned worker = 0);
  // The same without waiting; empty also when there is none just now.
  std::shared_ptr<Delivery> try_take(unsigned worker);
  // Whether this worker would take a task. One that would not, counts for nobody's share.
  void set_full(unsigned worker, bool full);
  // So much less is to be done of what this worker has taken.
  void progressed(unsigned worker, std::uint64_t load);

  // A number that changes with whatever a worker may be waiting for, and a wait for another one
  // than `seen`. Read the number, look for work, and wait only where there was none.
  std::uint64_t news();
  void wait_for_news(std::uint64_t seen);

  // A worker is through with what take() gave it.
  void done(const std::shared_ptr<Delivery>& delivery);
  // Puts a task before all others.
  void add_first(Task task);

  // Ends everything; the first failure is kept.
  void fail(std::exception_ptr error);
  std::exception_ptr failure();
  bool stopping() const { return stop_.stop_requested(); }
  std::stop_token stop_token() const { return stop_.get_token(); }

  std::uint64_t most_memory();  // that was ever in use

 private:
  friend class Delivery;
  // One piece on its way, by one request or two.
  struct Flight {
    std::shared_ptr<Delivery> delivery;
    std::size_t piece = 0;
    std::chrono::steady_clock::time_point began;
    unsigned requests = 1;  // made
    unsigned running = 1;
    bool landed = false;
    std::stop_source stop{std::nostopstate};
  };
  struct Share {
    std::uint64_t load = 0;
    bool full = false;
  };
  struct State {
    std::list<std::shared_ptr<Delivery>> open;  // in order; what is not yet wholly fetched or begun
    bool source_done = false;
    bool stopped = false;
    std::uint64_t used = 0;        // by rule 2
    std::uint64_t used_aside = 0;  // by rule 1
    std::uint64_t most_used = 0;   // both together
    std::uint64_t news = 0;
    std::vector<Share> shares;  // of each worker
    std::list<std::shared_ptr<Flight>> flights;
    Latencies latencies;
    std::uint64_t requests = 0;
    std::uint64_t second_requests = 0;
    unsigned running = 0;
    unsigned not_begun = 0;
    std::exception_ptr error;
  };
  void run();
  std::shared_ptr<Flight> choose(State& state);
  std::shared_ptr<Flight> choose_late(State& state);
  void open(State& state, Task task, bool first);
  void fetch(const std::shared_ptr<Flight>& flight);
  void land(const std::shared_ptr<Flight>& flight, Block block, std::exception_ptr error);
  void tell_workers();
  std::shared_ptr<Delivery> take_under_lock(State& state, unsigned worker);
  void release(Delivery& delivery, std::uint64_t cost, bool aside);
  void stop_all();

  const storage::Storage& storage_;
  const Limits limits_;
  const std::uint64_t aside_;   // for rule 1
  const std::uint64_t budget_;  // for rule 2
  const std::uint64_t share_;   // of one task
  const std::function<std::optional<Task>()> next_;
  Memory& memory_;
  Report& report_;
  Guarded<State> state_;
  std::condition_variable fetchers_;
  std::condition_variable workers_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_stop_;
  std::vector<std::jthread> threads_;
};

// The bytes of one task as they come in. Used by the worker that took it; leaving pieces untaken is
// fine.
class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  // One piece in memory, from the beginning of a page on; the memory counts as used until this is
  // destroyed.
  class Buffer {
   public:
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer();
    ByteView bytes() const { return {block_.data(), size_}; }

   private:
    friend class Delivery;
    Buffer(std::shared_ptr<Delivery> delivery, std::size_t piece, Block block);
    std::shared_ptr<Delivery> delivery_;  // empty when moved from
    std::size_t piece_;
    Block block_;
    std::size_t size_;
  };

  Delivery(Fetcher& fetcher, Task task);
  const std::vector<Piece>& pieces() const { return task_.pieces; }
  void work() { task_.work(*this); }
  unsigned worker() const { return worker_; }  // that took it
  std::size_t taken() const { return next_take_; }

  // The next piece; empty if it is not there yet. Throws what its request threw, and
  // Error{cancelled} once everything is being stopped.
  std::optional<Buffer> try_next();
  // Waits for it.
  Buffer next();
  // No more pieces are wanted; what is under way is thrown away.
  void abandon();

 private:
  friend class Fetcher;
  struct Slot {
    bool ready = false;
    bool aside = false;  // paid for by what is set aside
    Block block;
    std::exception_ptr error;
  };
  std::optional<Buffer> take_under_lock(Fetcher::State& state, std::exception_ptr& error);

  Fetcher& fetcher_;
  Task task_;
  unsigned worker_ = 0;
  // What follows is guarded by the fetcher's lock.
  std::vector<Slot> slots_;
  std::size_t next_fetch_ = 0;
  std::size_t next_take_ = 0;
  std::uint64_t usage_ = 0;
  bool begun_ = false;
  bool abandoned_ = false;
};

}  // namespace pgrevive::restore
