#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
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
};

// Brings the bytes of tasks from the repository ahead of the workers that consume them, so that
// neither waits for the other: requests are threads of their own, many more than workers, and what
// they bring waits in memory, of which a bounded amount is in use.
//
// Which piece is fetched next:
//  1. the next piece of a task that a worker has begun and for which nothing is there or on its
//     way. One piece for each worker is set aside for this, so it never waits for memory;
//  2. else the next piece of the first task, in order, that holds less than its share of memory. If
//     it does not fit, no piece is fetched until memory comes free: a smaller one never overtakes.
// No deadlock is possible: a worker that has begun a task is served by rule 1; memory that waits
// for a free worker belongs to tasks whose first piece is there or on its way, and any free worker
// takes those.
//
// Any thread may call anything.
class Fetcher {
 public:
  struct Limits {
    unsigned requests = 32;
    unsigned workers = 2;
    std::uint64_t memory = 256u << 20;
    std::uint64_t piece = 8u << 20;
  };
  // The largest piece that `memory` allows for that many workers.
  static std::uint64_t piece_size(std::uint64_t memory, unsigned workers);

  // `next` gives the tasks one after the other and then nothing; it is called under the lock, so
  // it only computes. `report` hears of requests and of bytes as they come.
  Fetcher(const storage::Storage& storage, const Limits& limits,
          std::function<std::optional<Task>()> next, Report& report, std::stop_token stop);
  ~Fetcher();  // stops and joins

  // The first task, in order, that can be begun; waits for one. Empty when there will be none: all
  // are done, one failed, or a stop was requested.
  std::shared_ptr<Delivery> take();
  // A worker is through with what take() gave it.
  void done(const std::shared_ptr<Delivery>& delivery);
  // Puts a task before all others.
  void add_first(Task task);

  // Ends everything; the first failure is kept.
  void fail(std::exception_ptr error);
  std::exception_ptr failure();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  std::uint64_t most_memory();  // that was ever in use

 private:
  friend class Delivery;
  struct State {
    std::list<std::shared_ptr<Delivery>> open;  // in order; what is not yet wholly fetched or begun
    bool source_done = false;
    bool stopped = false;
    std::uint64_t used = 0;
    std::uint64_t most_used = 0;
    unsigned running = 0;
    unsigned not_begun = 0;
    std::exception_ptr error;
  };
  struct Choice {
    std::shared_ptr<Delivery> delivery;
    std::size_t piece = 0;
  };

  void run();
  std::optional<Choice> choose(State& state);
  void open(State& state, Task task, bool first);
  void fetch(const Choice& choice);
  void release(Delivery& delivery, std::uint64_t cost);
  void stop_all();

  const storage::Storage& storage_;
  const Limits limits_;
  const std::uint64_t budget_;  // for rule 2
  const std::uint64_t share_;   // of one task
  const std::function<std::optional<Task>()> next_;
  Report& report_;
  Guarded<State> state_;
  std::condition_variable fetchers_;
  std::condition_variable workers_;
  std::atomic<bool> stopping_{false};
  std::stop_callback<std::function<void()>> on_stop_;
  std::vector<std::jthread> threads_;
};

// The bytes of one task as they come in. Used by the worker that took it; destroying it (or leaving
// pieces untaken) is fine.
class Delivery {
 public:
  // One piece in memory; the memory counts as used until this is destroyed.
  class Buffer {
   public:
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer();
    ByteView bytes() const { return bytes_; }

   private:
    friend class Delivery;
    Buffer(Delivery& delivery, Bytes bytes, std::uint64_t cost)
        : delivery_(&delivery), bytes_(std::move(bytes)), cost_(cost) {}
    Delivery* delivery_;
    Bytes bytes_;
    std::uint64_t cost_;
  };

  Delivery(Fetcher& fetcher, Task task);
  const std::vector<Piece>& pieces() const { return task_.pieces; }
  void work() { task_.work(*this); }

  // Waits for the next piece. Throws what its request threw, and Error{cancelled} once everything
  // is being stopped.
  Buffer next();
  // No more pieces are wanted; what is under way is thrown away.
  void abandon();

 private:
  friend class Fetcher;
  struct Slot {
    bool ready = false;
    Bytes bytes;
    std::exception_ptr error;
  };

  Fetcher& fetcher_;
  Task task_;
  // What follows is guarded by the fetcher's lock.
  std::vector<Slot> slots_;
  std::size_t next_fetch_ = 0;
  std::size_t next_take_ = 0;
  std::uint64_t usage_ = 0;
  bool begun_ = false;
  bool abandoned_ = false;
};

}  // namespace pgrevive::restore
