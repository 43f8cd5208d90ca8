#include "restore/worker.h"

#include <algorithm>
#include <utility>

#include "restore/write/output_file.h"

namespace pgrevive::restore {

Worker::Worker(const Pass& pass, Fetcher& fetcher, const BlockJobs& blocks, unsigned number,
               const Limits& limits)
    : pass_(pass), fetcher_(fetcher), blocks_(blocks), number_(number), limits_(limits) {}

void Worker::run() {
  queue_ = std::make_unique<WriteQueue>(limits_.writes);
  while (!fetcher_.stopping()) {
    const auto news = fetcher_.news();
    bool moved = take_more();
    moved |= step_activities();
    tell_if_due();
    moved |= step_streams();
    queue_->collect();
    if (moved) continue;
    // What is being written keeps memory that others may wait for.
    if (!queue_->idle()) {
      queue_->wait_for_one();
    } else if (!streams_.empty() || !activities_.empty()) {
      fetcher_.wait_for_news(news);
    } else if (const auto delivery = fetcher_.take(number_)) {
      delivery->work();
    } else {
      break;
    }
  }
  // Nobody waits any more for this one to take its share.
  fetcher_.set_full(number_, true);
  pass_.report.working(number_, "", 0, 0, 0);
}

void Worker::tell_if_due() {
  const auto now = std::chrono::steady_clock::now();
  if (now - told_ < std::chrono::milliseconds(100)) return;
  told_ = now;
  const auto files = streams_.size() + activities_.size();
  if (streams_.empty()) {
    pass_.report.working(number_, "", 0, 0, files);
    return;
  }
  const auto& stream = *streams_.front();
  const auto& file = pass_.file(stream.index());
  pass_.report.working(number_, file.name, stream.came(), file.size, files);
}

// Begins files until there are enough on their way or no more to be had.
bool Worker::take_more() {
  bool any = false;
  while (!fetcher_.stopping() && streams_.size() + activities_.size() < limits_.files) {
    if (run_) {
      begin_next_of_run();
    } else {
      const auto delivery = fetcher_.try_take(number_);
      if (!delivery) break;
      delivery->work();
    }
    any = true;
  }
  fetcher_.set_full(number_, streams_.size() + activities_.size() >= limits_.files);
  return any;
}

void Worker::begin(const Job& job, Delivery& delivery) {
  auto task = std::make_shared<Begun>(fetcher_, delivery.shared_from_this());
  const auto first = pass_.plan.files[job.first];
  if (job.kind == JobKind::empty) {
    make_empty(job);
  } else if (job.kind == JobKind::map) {
    begin(blocks_.map(first, std::move(task)));
  } else if (job.count == 1 && !pass_.file(first).block_incremental()) {
    streams_.push_back(std::make_unique<FileStream>(pass_, *queue_, limits_.block, first,
                                                    StoredBytes(std::move(task))));
  } else {
    begin_run(job, std::move(task));
  }
}

void Worker::make_empty(const Job& job) {
  for (std::uint32_t i = 0; i < job.count && !fetcher_.stopping(); ++i) {
    const auto index = pass_.plan.files[job.first + i];
    const auto make =
        pass_.nodes.layout.zeroes(pass_.file(index)) ? OutputFile::zeros : OutputFile::create;
    pass_.while_restoring(index, [&] { make(pass_.nodes, index, pass_.wanted[index]).finish(); });
    pass_.report.file_done();
  }
}

// Files that lie side by side in one object and came as one piece.
void Worker::begin_run(const Job& job, std::shared_ptr<Begun> task) {
  const auto first = pass_.plan.files[job.first];
  std::optional<Error> broken;
  try {
    pass_.while_restoring(first, [&] {
      auto buffer = std::make_shared<Delivery::Buffer>(task->delivery().next());
      run_ = std::make_unique<Run>(
          Run{&job, std::move(buffer), std::move(task), 0, std::make_shared<Rest>()});
    });
    return;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    broken = error;
  }
  // Part of what these files need has not come; each is asked for on its own.
  for (std::uint32_t i = 0; i < job.count; ++i) {
    const auto index = pass_.plan.files[job.first + i];
    fetcher_.progressed(number_, pass_.file(index).size);
    pass_.fetch_again(index, *broken, fetcher_);
  }
}

void Worker::begin_next_of_run() {
  const auto& job = *run_->job;
  const auto index = pass_.plan.files[job.first + run_->next];
  const auto& file = pass_.file(index);
  const auto stored = run_->buffer->bytes().subspan(
      static_cast<std::size_t>(Pass::stored_offset(file) - job.offset),
      static_cast<std::size_t>(file.repo_size));
  if (file.block_incremental()) {
    blocks_.do_member(index, stored, *run_->rest);
    fetcher_.progressed(number_, file.size);
  } else {
    struct Owner {
      std::shared_ptr<Begun> task;
      std::shared_ptr<Delivery::Buffer> buffer;  // goes first
    };
    streams_.push_back(std::make_unique<FileStream>(
        pass_, *queue_, limits_.block, index,
        StoredBytes(stored, std::make_shared<Owner>(Owner{run_->task, run_->buffer}))));
  }
  if (++run_->next < job.count) return;
  // Before the task of the run ends: if it is the last, the other workers leave.
  blocks_.fetch_rest(run_->rest);
  run_.reset();
}

bool Worker::step_activities() {
  bool moved = false;
  for (auto at = activities_.begin(); at != activities_.end() && !fetcher_.stopping();) {
    const auto step = (*at)->step();
    moved |= step != Activity::Step::waiting;
    at = step == Activity::Step::ended ? activities_.erase(at) : std::next(at);
  }
  return moved;
}

// Runs the body; where the bytes of the file turn out to be wrong, fetches all of them once more.
// False if the file is through that way.
template <typename Body>
bool Worker::with_second_chance(FileStream& stream, const Body& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    fetcher_.progressed(number_, stream.give_up());
    pass_.fetch_again(stream.index(), error, fetcher_);
    return false;
  }
}

// A block of each file.
bool Worker::step_streams() {
  bool moved = false;
  std::vector<FileStream*> ready;
  for (auto at = streams_.begin(); at != streams_.end() && !fetcher_.stopping();) {
    auto& stream = **at;
    auto step = Activity::Step::ended;
    with_second_chance(stream, [&] { step = stream.decode(); });
    fetcher_.progressed(number_, stream.take_progress());
    moved |= step != Activity::Step::waiting;
    if (step == Activity::Step::moved) ready.push_back(&stream);
    at = step == Activity::Step::ended ? streams_.erase(at) : std::next(at);
  }

  std::vector<codec::Sha1Lanes::Piece> pieces;
  pieces.reserve(ready.size());
  for (auto* stream : ready) pieces.push_back(stream->to_hash());
  lanes_.update(pieces);

  for (auto* stream : ready) {
    if (with_second_chance(*stream, [&] { stream->hashed(); })) continue;
    std::erase_if(streams_, [&](const auto& one) { return one.get() == stream; });
  }
  return moved;
}

}  // namespace pgrevive::restore
