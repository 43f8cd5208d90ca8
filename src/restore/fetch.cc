#include "restore/fetch.h"

#include <algorithm>
#include <bit>
#include <system_error>

#include <fmt/format.h>
#include <pthread.h>

#include "base/error.h"

namespace pgrevive::restore {

namespace {

// What a piece costs beside its bytes, so that a great many tiny ones are bounded as well.
constexpr std::uint64_t kPieceOverhead = 512;
constexpr std::uint64_t kSmallestPiece = 64u << 10;
// How often idle requests look for late ones, and how many requests there are to each second one.
constexpr std::chrono::milliseconds kLookForLate{250};
constexpr std::uint64_t kRequestsToASecondOne = 20;
// Workers whose loads differ by less than this have the same to do.
constexpr std::uint64_t kSameLoad = 16u << 20;

std::uint64_t cost_of(const Piece& piece) {
  return Memory::capacity_of(piece.range.length) + kPieceOverhead;
}

Error stopped() { return {ErrorKind::cancelled, "the restore was stopped"}; }

// Keeps the bytes of one request and ends it early when everything is being stopped.
class PieceSink : public Sink {
 public:
  PieceSink(const Piece& piece, Memory& memory, Report& report)
      : piece_(piece), report_(report), block_(memory.get(piece.range.length)) {}
  ~PieceSink() override {
    if (block_) report_.unfetched(size_);
  }

  void write(ByteView bytes) override {
    if (bytes.size() > piece_.range.length - size_) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("more than the {} bytes asked for came", piece_.range.length));
    }
    // Not std::ranges::copy, of which GCC 12 makes a loop over bytes.
    std::copy_n(bytes.data(), bytes.size(), block_.data() + size_);
    size_ += bytes.size();
    report_.fetched(bytes.size());
  }
  void finish() override {
    if (size_ != piece_.range.length) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{} of the {} bytes asked for came", size_, piece_.range.length));
    }
  }
  Block take() { return std::move(block_); }

 private:
  const Piece& piece_;
  Report& report_;
  Block block_;
  std::size_t size_ = 0;
};

}  // namespace

std::uint64_t Fetcher::piece_size(std::uint64_t memory, unsigned tasks, std::uint64_t most) {
  const auto share = std::bit_floor(memory / (std::uint64_t{tasks} + 1));
  return std::max(std::min(share, most), kSmallestPiece);
}

Fetcher::Fetcher(const storage::Storage& storage, const Limits& limits,
                 std::function<std::optional<Task>()> next, Memory& memory, Report& report,
                 std::stop_token stop)
    : storage_(storage),
      limits_(limits),
      aside_(limits.workers * (limits.piece + kPieceOverhead)),
      budget_(limits.memory - std::min(limits.memory, aside_)),
      share_(std::max(limits.piece + kPieceOverhead, budget_ / (std::max(limits.tasks, 1u) + 1))),
      next_(std::move(next)),
      memory_(memory),
      report_(report),
      on_stop_(std::move(stop), [this] { stop_all(); }) {
  state_.lock()->shares.resize(std::max(limits_.workers, 1u));
  try {
    for (unsigned i = 0; i < std::max(limits_.requests, 1u); ++i) {
      threads_.emplace_back([this, i] {
        ::pthread_setname_np(::pthread_self(), fmt::format("pgrevive-f{:02}", i % 100).c_str());
        run();
      });
    }
  } catch (const std::system_error& error) {
    // With fewer threads than asked for it is slower, without any it is nothing.
    if (threads_.empty()) {
      throw Error(ErrorKind::system, fmt::format("cannot start a thread: {}", error.what()));
    }
  }
}

Fetcher::~Fetcher() {
  stop_all();
  threads_.clear();
}

void Fetcher::stop_all() {
  stop_.request_stop();
  {
    // Under the lock, so that no thread is between looking at the flag and falling asleep.
    auto state = state_.lock();
    state->stopped = true;
    for (const auto& flight : state->flights) flight->stop.request_stop();
  }
  fetchers_.notify_all();
  tell_workers();
}

void Fetcher::tell_workers() {
  ++state_.lock()->news;
  // All of them: the one that waits for just this may be any.
  workers_.notify_all();
}

std::uint64_t Fetcher::news() { return state_.lock()->news; }

void Fetcher::wait_for_news(std::uint64_t seen) {
  auto state = state_.lock();
  state.wait(workers_, [&] { return state->news != seen || state->stopped; });
}

void Fetcher::run() {
  while (true) {
    std::shared_ptr<Flight> flight;
    try {
      auto state = state_.lock();
      const auto chosen = [&] {
        if (state->stopped) return true;
        flight = choose(*state);
        if (!flight) flight = choose_late(*state);
        return flight != nullptr;
      };
      // Nobody tells that a request is late; whoever has nothing to do looks from time to time.
      while (!state.wait_for(fetchers_, kLookForLate, chosen)) {
      }
      if (!flight) return;
    } catch (...) {
      fail(std::current_exception());
      return;
    }
    // There may be more to fetch: whoever finds a piece wakes the next one, and who finds none
    // lets all sleep on.
    fetchers_.notify_one();
    fetch(flight);
  }
}

std::shared_ptr<Fetcher::Flight> Fetcher::choose(State& state) {
  const auto next_cost = [](const Delivery& delivery) {
    return cost_of(delivery.task_.pieces[delivery.next_fetch_]);
  };
  const auto take = [&](const std::shared_ptr<Delivery>& delivery, bool aside) {
    const auto cost = next_cost(*delivery);
    const auto piece = delivery->next_fetch_++;
    delivery->slots_[piece].aside = aside;
    delivery->usage_ += cost;
    (aside ? state.used_aside : state.used) += cost;
    state.most_used = std::max(state.most_used, state.used + state.used_aside);
    auto flight = std::make_shared<Flight>();
    flight->delivery = delivery;
    flight->piece = piece;
    flight->began = std::chrono::steady_clock::now();
    flight->stop = std::stop_source();
    state.flights.push_back(flight);
    ++state.requests;
    return flight;
  };
  const auto has_more = [](const Delivery& delivery) {
    return delivery.next_fetch_ < delivery.task_.pieces.size();
  };

  for (const auto& delivery : state.open) {
    if (!delivery->begun_ || delivery->usage_ != 0 || !has_more(*delivery)) continue;
    if (state.used_aside != 0 && state.used_aside + next_cost(*delivery) > aside_) break;
    return take(delivery, true);
  }
  auto at = state.open.begin();
  while (true) {
    for (; at != state.open.end(); ++at) {
      const auto& delivery = **at;
      if (!has_more(delivery)) continue;
      const auto cost = next_cost(delivery);
      if (delivery.usage_ != 0 && delivery.usage_ + cost > share_) continue;
      if (state.used != 0 && state.used + cost > budget_) return nullptr;
      return take(*at, false);
    }
    // Look ahead far enough to keep every request busy and no further: what is open is searched
    // each time.
    if (state.source_done ||
        state.not_begun >= 2 * limits_.requests + std::max(limits_.workers, limits_.tasks)) {
      return nullptr;
    }
    auto task = next_();
    if (!task) {
      state.source_done = true;
      ++state.news;
      workers_.notify_all();
      return nullptr;
    }
    open(state, std::move(*task), false);
    at = std::prev(state.open.end());
  }
}

// The oldest piece that is late, for a second request.
std::shared_ptr<Fetcher::Flight> Fetcher::choose_late(State& state) {
  if (state.second_requests * kRequestsToASecondOne >= state.requests) return nullptr;
  const auto now = std::chrono::steady_clock::now();
  for (const auto& flight : state.flights) {
    if (flight->requests != 1) continue;
    const auto& piece = flight->delivery->task_.pieces[flight->piece];
    const auto late = state.latencies.late_after(piece.range.length);
    if (!late || now - flight->began < *late) continue;
    if (state.used + cost_of(piece) > budget_) return nullptr;
    state.used += cost_of(piece);
    state.most_used = std::max(state.most_used, state.used + state.used_aside);
    ++flight->requests;
    ++flight->running;
    ++state.requests;
    ++state.second_requests;
    return flight;
  }
  return nullptr;
}

void Fetcher::open(State& state, Task task, bool first) {
  auto delivery = std::make_shared<Delivery>(*this, std::move(task));
  ++state.not_begun;
  if (delivery->task_.pieces.empty()) {
    ++state.news;
    workers_.notify_all();
  }
  state.open.insert(first ? state.open.begin() : state.open.end(), std::move(delivery));
}

void Fetcher::fetch(const std::shared_ptr<Flight>& flight) {
  const auto& piece = flight->delivery->task_.pieces[flight->piece];
  Block block;
  std::exception_ptr error;
  try {
    report_.requested();
    PieceSink sink(piece, memory_, report_);
    storage_.read(piece.object, piece.range, sink, flight->stop.get_token());
    sink.finish();
    block = sink.take();
  } catch (...) {
    error = std::current_exception();
  }
  land(flight, std::move(block), std::move(error));
}

// A request for a piece has ended. The first that was good counts, or the last if none was.
void Fetcher::land(const std::shared_ptr<Flight>& flight, Block block, std::exception_ptr error) {
  auto& delivery = *flight->delivery;
  const auto& piece = delivery.task_.pieces[flight->piece];
  bool needless = false, dropped = false, aside = false;
  {
    auto state = state_.lock();
    --flight->running;
    needless = flight->landed || (error && flight->running != 0);
    if (needless) {
      state->used -= cost_of(piece);
    } else {
      flight->landed = true;
      flight->stop.request_stop();  // the other request
      state->flights.remove(flight);
      if (!error) {
        state->latencies.add(piece.range.length, std::chrono::steady_clock::now() - flight->began);
      }
      auto& slot = delivery.slots_[flight->piece];
      aside = slot.aside;
      dropped = delivery.abandoned_;
      if (!dropped) {
        slot.ready = true;
        slot.block = std::move(block);
        slot.error = std::move(error);
        ++state->news;
      }
    }
  }
  if (needless) {
    fetchers_.notify_one();
  } else if (dropped) {
    release(delivery, cost_of(piece), aside);
  } else {
    workers_.notify_all();
  }
}

void Fetcher::release(Delivery& delivery, std::uint64_t cost, bool aside) {
  {
    auto state = state_.lock();
    delivery.usage_ -= cost;
    (aside ? state->used_aside : state->used) -= cost;
  }
  fetchers_.notify_one();
}

std::shared_ptr<Delivery> Fetcher::take_under_lock(State& state, unsigned worker) {
  auto& own = state.shares.at(worker);
  for (const auto& share : state.shares) {
    if (!share.full && own.load > share.load + kSameLoad) return nullptr;
  }
  const auto found = std::ranges::find_if(state.open, [](const auto& delivery) {
    return !delivery->begun_ && (delivery->slots_.empty() || delivery->slots_.front().ready);
  });
  if (found == state.open.end()) return nullptr;
  auto& delivery = **found;
  delivery.begun_ = true;
  delivery.worker_ = worker;
  own.load += delivery.task_.load;
  --state.not_begun;
  ++state.running;
  return *found;
}

std::shared_ptr<Delivery> Fetcher::take(unsigned worker) {
  std::shared_ptr<Delivery> taken;
  {
    auto state = state_.lock();
    state.wait(workers_, [&] {
      if (state->stopped) return true;
      taken = take_under_lock(*state, worker);
      return taken || (state->source_done && state->not_begun == 0 && state->running == 0);
    });
  }
  if (taken) fetchers_.notify_one();
  return taken;
}

std::shared_ptr<Delivery> Fetcher::try_take(unsigned worker) {
  std::shared_ptr<Delivery> taken;
  {
    auto state = state_.lock();
    if (!state->stopped) taken = take_under_lock(*state, worker);
  }
  if (taken) fetchers_.notify_one();
  return taken;
}

void Fetcher::set_full(unsigned worker, bool full) {
  {
    auto state = state_.lock();
    auto& share = state->shares.at(worker);
    if (share.full == full) return;
    share.full = full;
  }
  tell_workers();
}

void Fetcher::progressed(unsigned worker, std::uint64_t load) {
  auto state = state_.lock();
  auto& share = state->shares.at(worker);
  share.load -= std::min(load, share.load);
}

void Fetcher::done(const std::shared_ptr<Delivery>& delivery) {
  delivery->abandon();
  {
    auto state = state_.lock();
    --state->running;
    state->open.remove(delivery);
  }
  // The last one to end lets the others see that nothing is left.
  tell_workers();
  fetchers_.notify_one();
}

void Fetcher::add_first(Task task) {
  {
    auto state = state_.lock();
    open(*state, std::move(task), true);
  }
  fetchers_.notify_one();
}

void Fetcher::fail(std::exception_ptr error) {
  {
    auto state = state_.lock();
    if (!state->error) state->error = std::move(error);
  }
  stop_all();
}

std::exception_ptr Fetcher::failure() { return state_.lock()->error; }

std::uint64_t Fetcher::most_memory() { return state_.lock()->most_used; }

Delivery::Delivery(Fetcher& fetcher, Task task)
    : fetcher_(fetcher), task_(std::move(task)), slots_(task_.pieces.size()) {}

std::optional<Delivery::Buffer> Delivery::take_under_lock(Fetcher::State& state,
                                                          std::exception_ptr& error) {
  if (state.stopped) throw stopped();
  auto& slot = slots_[next_take_];
  if (!slot.ready) return std::nullopt;
  error = std::exchange(slot.error, nullptr);
  return Buffer(shared_from_this(), next_take_++, std::move(slot.block));
}

std::optional<Delivery::Buffer> Delivery::try_next() {
  std::optional<Buffer> buffer;
  std::exception_ptr error;
  {
    auto state = fetcher_.state_.lock();
    auto taken = take_under_lock(*state, error);
    if (taken) buffer.emplace(std::move(*taken));
  }
  if (error) std::rethrow_exception(error);
  return buffer;
}

Delivery::Buffer Delivery::next() {
  std::optional<Buffer> buffer;
  std::exception_ptr error;
  {
    auto state = fetcher_.state_.lock();
    state.wait(fetcher_.workers_, [&] {
      if (!state->stopped && !slots_[next_take_].ready) return false;
      auto taken = take_under_lock(*state, error);
      buffer.emplace(std::move(*taken));
      return true;
    });
  }
  if (error) std::rethrow_exception(error);
  return std::move(*buffer);
}

void Delivery::abandon() {
  std::uint64_t cost = 0, aside = 0;
  std::vector<Block> blocks;  // freed outside of the lock
  {
    auto state = fetcher_.state_.lock();
    abandoned_ = true;
    for (auto i = next_take_; i < next_fetch_; ++i) {
      // What is still on its way is given back by its request.
      auto& slot = slots_[i];
      if (!slot.ready) continue;
      (slot.aside ? aside : cost) += cost_of(task_.pieces[i]);
      blocks.push_back(std::move(slot.block));
      slot.error = nullptr;
    }
    next_fetch_ = next_take_ = task_.pieces.size();
  }
  if (cost != 0) fetcher_.release(*this, cost, false);
  if (aside != 0) fetcher_.release(*this, aside, true);
}

Delivery::Buffer::Buffer(std::shared_ptr<Delivery> delivery, std::size_t piece, Block block)
    : delivery_(std::move(delivery)),
      piece_(piece),
      block_(std::move(block)),
      size_(static_cast<std::size_t>(delivery_->pieces()[piece].range.length)) {}

Delivery::Buffer::Buffer(Buffer&& other) noexcept
    : delivery_(std::exchange(other.delivery_, nullptr)),
      piece_(other.piece_),
      block_(std::move(other.block_)),
      size_(other.size_) {}

Delivery::Buffer::~Buffer() {
  if (!delivery_) return;
  block_ = {};
  delivery_->fetcher_.release(*delivery_, cost_of(delivery_->task_.pieces[piece_]),
                              delivery_->slots_[piece_].aside);
}

}  // namespace pgrevive::restore
