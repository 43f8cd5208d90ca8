#include "restore/fetch.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <pthread.h>

#include "base/error.h"

namespace pgrevive::restore {

namespace {

// What a piece costs beside its bytes, so that a great many tiny ones are bounded as well.
constexpr std::uint64_t kPieceOverhead = 4096;
constexpr std::uint64_t kLargestPiece = 8u << 20;
constexpr std::uint64_t kSmallestPiece = 64u << 10;

std::uint64_t cost_of(const Piece& piece) { return piece.range.length + kPieceOverhead; }

// Keeps the bytes of one request and ends it early when everything is being stopped.
class PieceSink : public Sink {
 public:
  PieceSink(const Piece& piece, const Fetcher& fetcher, Report& report)
      : piece_(piece), fetcher_(fetcher), report_(report) {
    bytes_.reserve(static_cast<std::size_t>(std::min(piece.range.length, 4 * kLargestPiece)));
  }

  void write(ByteView bytes) override {
    if (fetcher_.stopping()) throw Error(ErrorKind::cancelled, "the restore was stopped");
    if (bytes.size() > piece_.range.length - bytes_.size()) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("more than the {} bytes asked for came", piece_.range.length));
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    report_.fetched(bytes.size());
  }
  void finish() override {
    if (bytes_.size() != piece_.range.length) {
      throw Error(ErrorKind::corrupt, fmt::format("{} of the {} bytes asked for came",
                                                  bytes_.size(), piece_.range.length));
    }
  }
  Bytes take() { return std::move(bytes_); }

 private:
  const Piece& piece_;
  const Fetcher& fetcher_;
  Report& report_;
  Bytes bytes_;
};

}  // namespace

std::uint64_t Fetcher::piece_size(std::uint64_t memory, unsigned workers) {
  // Half of the memory is set aside for one piece per worker; the other half looks ahead.
  return std::clamp(memory / (2 * std::uint64_t{std::max(workers, 1u)}), kSmallestPiece,
                    kLargestPiece + kPieceOverhead) -
         kPieceOverhead;
}

Fetcher::Fetcher(const storage::Storage& storage, const Limits& limits,
                 std::function<std::optional<Task>()> next, Report& report, std::stop_token stop)
    : storage_(storage),
      limits_(limits),
      budget_(limits.memory -
              std::min(limits.memory, limits.workers * (limits.piece + kPieceOverhead))),
      share_(std::max(limits.piece + kPieceOverhead, budget_ / (limits.workers + 1))),
      next_(std::move(next)),
      report_(report),
      on_stop_(std::move(stop), [this] { stop_all(); }) {
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
  stopping_ = true;
  // Under the lock, so that no thread is between looking at the flag and falling asleep.
  state_.lock()->stopped = true;
  fetchers_.notify_all();
  workers_.notify_all();
}

void Fetcher::run() {
  while (true) {
    std::optional<Choice> choice;
    try {
      auto state = state_.lock();
      state.wait(fetchers_, [&] {
        if (!state->stopped) choice = choose(*state);
        return state->stopped || choice;
      });
      if (!choice) return;
    } catch (...) {
      fail(std::current_exception());
      return;
    }
    // There may be more to fetch: whoever finds a piece wakes the next one, and who finds none
    // lets all sleep on.
    fetchers_.notify_one();
    fetch(*choice);
  }
}

std::optional<Fetcher::Choice> Fetcher::choose(State& state) {
  const auto take = [&](const std::shared_ptr<Delivery>& delivery) {
    const auto piece = delivery->next_fetch_++;
    const auto cost = cost_of(delivery->task_.pieces[piece]);
    delivery->usage_ += cost;
    state.used += cost;
    state.most_used = std::max(state.most_used, state.used);
    return Choice{delivery, piece};
  };
  const auto has_more = [](const Delivery& delivery) {
    return delivery.next_fetch_ < delivery.task_.pieces.size();
  };

  for (const auto& delivery : state.open) {
    if (delivery->begun_ && delivery->usage_ == 0 && has_more(*delivery)) return take(delivery);
  }
  auto at = state.open.begin();
  while (true) {
    for (; at != state.open.end(); ++at) {
      const auto& delivery = **at;
      if (!has_more(delivery) || delivery.usage_ >= share_) continue;
      const auto cost = cost_of(delivery.task_.pieces[delivery.next_fetch_]);
      if (state.used != 0 && state.used + cost > budget_) return std::nullopt;
      return take(*at);
    }
    // Look ahead far enough to keep every request busy and no further: what is open is searched
    // each time.
    if (state.source_done || state.not_begun >= 2 * limits_.requests + limits_.workers) {
      return std::nullopt;
    }
    auto task = next_();
    if (!task) {
      state.source_done = true;
      workers_.notify_all();
      return std::nullopt;
    }
    open(state, std::move(*task), false);
    at = std::prev(state.open.end());
  }
}

void Fetcher::open(State& state, Task task, bool first) {
  auto delivery = std::make_shared<Delivery>(*this, std::move(task));
  ++state.not_begun;
  if (delivery->task_.pieces.empty()) workers_.notify_all();
  state.open.insert(first ? state.open.begin() : state.open.end(), std::move(delivery));
}

void Fetcher::fetch(const Choice& choice) {
  auto& delivery = *choice.delivery;
  const auto& piece = delivery.task_.pieces[choice.piece];
  Delivery::Slot slot{.ready = true};
  try {
    report_.requested();
    PieceSink sink(piece, *this, report_);
    storage_.read(piece.object, piece.range, sink);
    sink.finish();
    slot.bytes = sink.take();
  } catch (...) {
    slot.error = std::current_exception();
  }
  bool dropped = false;
  {
    auto state = state_.lock();
    dropped = delivery.abandoned_;
    if (!dropped) delivery.slots_[choice.piece] = std::move(slot);
  }
  if (dropped) {
    release(delivery, cost_of(piece));
  } else {
    // All of them: the one that waits for this very piece may be any.
    workers_.notify_all();
  }
}

void Fetcher::release(Delivery& delivery, std::uint64_t cost) {
  {
    auto state = state_.lock();
    delivery.usage_ -= cost;
    state->used -= cost;
  }
  fetchers_.notify_one();
}

std::shared_ptr<Delivery> Fetcher::take() {
  std::shared_ptr<Delivery> taken;
  {
    auto state = state_.lock();
    state.wait(workers_, [&] {
      if (state->stopped) return true;
      const auto found = std::ranges::find_if(state->open, [](const auto& delivery) {
        return !delivery->begun_ && (delivery->slots_.empty() || delivery->slots_.front().ready);
      });
      if (found != state->open.end()) {
        taken = *found;
        return true;
      }
      return state->source_done && state->not_begun == 0 && state->running == 0;
    });
    if (!taken) return nullptr;
    taken->begun_ = true;
    --state->not_begun;
    ++state->running;
  }
  fetchers_.notify_one();
  return taken;
}

void Fetcher::done(const std::shared_ptr<Delivery>& delivery) {
  delivery->abandon();
  {
    auto state = state_.lock();
    --state->running;
    state->open.remove(delivery);
  }
  // The last one to end lets the others see that nothing is left.
  workers_.notify_all();
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

Delivery::Buffer Delivery::next() {
  Slot slot;
  std::uint64_t cost = 0;
  {
    auto state = fetcher_.state_.lock();
    state.wait(fetcher_.workers_, [&] { return state->stopped || slots_[next_take_].ready; });
    if (state->stopped) throw Error(ErrorKind::cancelled, "the restore was stopped");
    slot = std::move(slots_[next_take_]);
    slots_[next_take_] = {};
    cost = cost_of(task_.pieces[next_take_]);
    ++next_take_;
  }
  Buffer buffer(*this, std::move(slot.bytes), cost);
  if (slot.error) std::rethrow_exception(slot.error);
  return buffer;
}

void Delivery::abandon() {
  std::uint64_t cost = 0;
  {
    auto state = fetcher_.state_.lock();
    abandoned_ = true;
    for (auto i = next_take_; i < next_fetch_; ++i) {
      // What is still on its way is given back by its request.
      if (slots_[i].ready) cost += cost_of(task_.pieces[i]);
      slots_[i] = {};
    }
    next_fetch_ = next_take_ = task_.pieces.size();
  }
  if (cost != 0) fetcher_.release(*this, cost);
}

Delivery::Buffer::Buffer(Buffer&& other) noexcept
    : delivery_(std::exchange(other.delivery_, nullptr)),
      bytes_(std::move(other.bytes_)),
      cost_(other.cost_) {}

Delivery::Buffer::~Buffer() {
  if (delivery_ != nullptr) delivery_->fetcher_.release(*delivery_, cost_);
}

}  // namespace pgrevive::restore
