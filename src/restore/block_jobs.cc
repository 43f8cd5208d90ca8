#include "restore/block_jobs.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "restore/decode.h"
#include "restore/write/output_file.h"

namespace pgrevive::restore {

namespace {

// The file that is being written. Neighbouring super blocks are mostly of one file, and with one
// file open at a time a bundle of thousands needs no more descriptors than any other.
struct Current {
  std::uint32_t index;
  OutputFile output;
  BlockWriter writer;
  Current(const Pass& pass, std::uint32_t file, Count& count)
      : index(file),
        output(OutputFile::reopen(pass.nodes, file, pass.wanted[file])),
        writer(output, pass.file(file), count.adder()) {}
};

}  // namespace

void BlockJobs::do_member(std::uint32_t index, ByteView stored, Rest& rest) const {
  const auto& file = pass_.file(index);
  Count count(pass_.report);
  try {
    pass_.while_restoring(index, [&] {
      const auto map_at = static_cast<std::size_t>(file.repo_size - file.block_map_size);
      auto blocks = wanted_super_blocks(pass_.manifest, index,
                                        decode_map(pass_.manifest, stored.subspan(map_at)));
      auto output = OutputFile::create(pass_.nodes, index, pass_.wanted[index]);
      BlockWriter writer(output, file, count.adder());
      std::vector<WantedSuperBlock> elsewhere;
      for (auto& block : blocks) {
        const auto begin = Pass::stored_offset(file);
        const bool own = block.where.reference == file.reference &&
                         block.where.bundle_id == file.bundle_id && block.where.offset >= begin &&
                         block.where.offset - begin <= map_at &&
                         block.where.stored_size <= map_at - (block.where.offset - begin);
        if (!own) {
          elsewhere.push_back(std::move(block));
          continue;
        }
        writer.write(block, decode(block, stored.subspan(
                                              static_cast<std::size_t>(block.where.offset - begin),
                                              static_cast<std::size_t>(block.where.stored_size))));
      }
      if (!elsewhere.empty()) {
        std::ranges::move(elsewhere, std::back_inserter(rest.blocks));
        rest.files.push_back(index);
        rest.counts.emplace(index, count);
        return;
      }
      writer.prove();
      output.finish();
      pass_.report.file_done();
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    count.take_back();
    pass_.fetch_again(index, error, fetcher_);
  }
}

class BlockJobs::MapActivity : public Activity {
 public:
  MapActivity(const BlockJobs& jobs, std::uint32_t index, std::shared_ptr<Begun> task)
      : jobs_(jobs), index_(index), task_(std::move(task)) {}

  Step step() override {
    const auto& pass = jobs_.pass_;
    auto rest = std::make_shared<Rest>();
    bool came = false;
    try {
      pass.while_restoring(index_, [&] {
        auto& delivery = task_->delivery();
        const auto buffer = delivery.try_next();
        if (!buffer) return;
        came = true;
        stored_.insert(stored_.end(), buffer->bytes().begin(), buffer->bytes().end());
        if (delivery.taken() < delivery.pieces().size()) return;
        rest->blocks =
            wanted_super_blocks(pass.manifest, index_, decode_map(pass.manifest, stored_));
        OutputFile::create(pass.nodes, index_, pass.wanted[index_]);
        rest->files = {index_};
        rest->counts.emplace(index_, Count(pass.report));
      });
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      pass.fetch_again(index_, error, jobs_.fetcher_);
      return Step::ended;
    }
    if (rest->files.empty()) return came ? Step::moved : Step::waiting;
    jobs_.fetch_rest(std::move(rest));
    return Step::ended;
  }

 private:
  const BlockJobs& jobs_;
  const std::uint32_t index_;
  const std::shared_ptr<Begun> task_;
  Bytes stored_;
};

std::unique_ptr<Activity> BlockJobs::map(std::uint32_t index, std::shared_ptr<Begun> task) const {
  return std::make_unique<MapActivity>(*this, index, std::move(task));
}

class BlockJobs::RestActivity : public Activity {
 public:
  RestActivity(const BlockJobs& jobs, std::shared_ptr<Rest> rest, std::shared_ptr<Begun> task)
      : jobs_(jobs), pass_(jobs.pass_), rest_(std::move(rest)), task_(std::move(task)) {}

  // One run of super blocks.
  Step step() override {
    if (next_run_ == rest_->runs.size()) {
      close();
      for (const auto index : rest_->files) finish(index);
      return Step::ended;
    }
    const auto& run = rest_->runs[next_run_];
    std::optional<Delivery::Buffer> buffer;
    std::optional<Error> broken;
    try {
      pass_.while_restoring(rest_->blocks[run.first].file, [&] {
        if (auto there = task_->delivery().try_next()) buffer.emplace(std::move(*there));
      });
      if (!buffer) return Step::waiting;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      broken = error;
    }
    for (std::size_t i = run.first; i < run.first + run.count; ++i) {
      const auto& block = rest_->blocks[i];
      jobs_.fetcher_.progressed(task_->delivery().worker(), block.where.logical_size);
      if (wrong_.contains(block.file)) continue;
      if (broken) {
        give_up(block.file, *broken);
      } else {
        write(block, buffer->bytes().subspan(
                         static_cast<std::size_t>(block.where.offset - run.range.offset),
                         static_cast<std::size_t>(block.where.stored_size)));
      }
    }
    ++next_run_;
    return Step::moved;
  }

 private:
  void write(const WantedSuperBlock& block, ByteView stored) {
    pass_.while_restoring(block.file, [&] {
      if (!current_ || current_->index != block.file) {
        close();
        current_ = std::make_unique<Current>(pass_, block.file, rest_->counts.at(block.file));
      }
      try {
        current_->writer.write(block, jobs_.decode(block, stored));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        give_up(block.file, error);
      }
    });
  }

  void give_up(std::uint32_t index, const Error& error) {
    wrong_.emplace(index, error);
    if (current_ && current_->index == index) current_.reset();
  }

  void close() {
    if (!current_) return;
    const auto index = current_->index;
    try {
      if (current_->writer.whole_in_order()) {
        current_->writer.prove();
        current_->output.finish();
        proven_.insert(index);
      }
      current_.reset();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      give_up(index, error);
    }
  }

  void finish(std::uint32_t index) {
    if (!proven_.contains(index) && !wrong_.contains(index)) {
      try {
        pass_.while_restoring(index, [&] {
          auto output = OutputFile::reopen(pass_.nodes, index, pass_.wanted[index]);
          prove(pass_.file(index), output.read_back());
          output.finish();
        });
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        wrong_.emplace(index, error);
      }
    }
    const auto wrong = wrong_.find(index);
    if (wrong == wrong_.end()) {
      pass_.report.file_done();
      return;
    }
    rest_->counts.at(index).take_back();
    pass_.fetch_again(index, wrong->second, jobs_.fetcher_);
  }

  const BlockJobs& jobs_;
  const Pass& pass_;
  const std::shared_ptr<Rest> rest_;
  const std::shared_ptr<Begun> task_;
  std::size_t next_run_ = 0;
  std::unique_ptr<Current> current_;
  std::set<std::uint32_t> proven_;
  std::map<std::uint32_t, Error> wrong_;
};

void BlockJobs::fetch_rest(std::shared_ptr<Rest> rest) const {
  if (rest->blocks.empty()) return;
  sort_by_place(pass_.manifest, rest->blocks);
  rest->runs = group_by_request(rest->blocks, pass_.manifest, sizes_.piece, sizes_.gap);
  Task task;
  for (const auto& run : rest->runs) {
    task.pieces.push_back(
        {object_of(pass_.repository.stanza(), pass_.manifest, rest->blocks[run.first]), run.range});
  }
  for (const auto& block : rest->blocks) task.load += block.where.logical_size;
  task.work = [this, rest = std::move(rest)](Delivery& delivery) {
    auto begun = std::make_shared<Begun>(fetcher_, delivery.shared_from_this());
    start_(delivery.worker(), std::make_unique<RestActivity>(*this, rest, std::move(begun)));
  };
  fetcher_.add_first(std::move(task));
}

Bytes BlockJobs::decode(const WantedSuperBlock& block, ByteView stored) const {
  try {
    return decode_super_block(pass_.manifest, stored, block.where.logical_size);
  } catch (Error& error) {
    error.add_frame("decoding " +
                    pass_.place(object_of(pass_.repository.stanza(), pass_.manifest, block),
                                {block.where.offset, block.where.stored_size}));
    throw;
  }
}

}  // namespace pgrevive::restore
