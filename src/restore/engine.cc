#include "restore/engine.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "base/error.h"
#include "base/text.h"
#include "repository/layout.h"
#include "restore/block_file.h"
#include "restore/decode.h"
#include "restore/fetch.h"

namespace pgrevive::restore {

namespace {

using repository::ManifestFile;
using storage::Range;

// Hands on what a request made by a worker itself brings, unless everything is being stopped.
class StoppableSink : public Sink {
 public:
  StoppableSink(const Fetcher& fetcher, Report& report, Sink& next)
      : fetcher_(fetcher), report_(report), next_(next) {}
  void write(ByteView bytes) override {
    if (fetcher_.stopping()) throw Error(ErrorKind::cancelled, "the restore was stopped");
    report_.fetched(bytes.size());
    next_.write(bytes);
  }
  void finish() override { next_.finish(); }

 private:
  const Fetcher& fetcher_;
  Report& report_;
  Sink& next_;
};

// Counts what is written of one file, and takes it back when the file has to be written again.
class Count {
 public:
  explicit Count(Report& report) : report_(report) {}
  auto adder() {
    return [this](std::uint64_t bytes) {
      bytes_ += bytes;
      report_.written(bytes);
    };
  }
  void take_back() { report_.unwritten(std::exchange(bytes_, 0)); }

 private:
  Report& report_;
  std::uint64_t bytes_ = 0;
};

// The super blocks that a job found to be needed from elsewhere, and the files they belong to.
struct Rest {
  std::vector<WantedSuperBlock> blocks;  // by place
  std::vector<SuperBlockRun> runs;
  std::vector<std::uint32_t> files;
  std::map<std::uint32_t, Count> counts;  // of each file
};

class Engine {
 public:
  Engine(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
         const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
         std::stop_token stop)
      : repository_(repository),
        manifest_(nodes.manifest),
        nodes_(nodes),
        plan_(plan),
        wanted_(wanted),
        limits_(limits),
        sizes_(limits.plan()),
        report_(report),
        fetcher_(
            repository.storage(),
            {.requests = limits.requests,
             .workers = limits.jobs,
             .memory = limits.memory,
             .piece = sizes_.piece},
            [this] { return next_task(); }, report, std::move(stop)) {}

  void run() {
    std::vector<std::jthread> workers;
    try {
      for (unsigned i = 0; i < limits_.jobs; ++i) {
        workers.emplace_back([this, i] {
          ::pthread_setname_np(::pthread_self(), fmt::format("pgrevive-w{:02}", i % 100).c_str());
          work();
        });
      }
    } catch (const std::system_error& error) {
      // The system gives us no more threads; those that there are do all the work.
      if (workers.empty()) {
        throw Error(ErrorKind::system, fmt::format("cannot start a thread: {}", error.what()));
      }
    }
    workers.clear();  // joins
    if (const auto error = fetcher_.failure()) std::rethrow_exception(error);
    if (fetcher_.stopping()) {
      throw Error(ErrorKind::cancelled, "the restore was stopped")
          .with_hint("run the same command again: it continues where it stopped");
    }
  }

 private:
  void work() {
    while (const auto delivery = fetcher_.take()) {
      try {
        delivery->work();
      } catch (const Error& error) {
        // A worker that is told to stop has nothing to say about why.
        if (error.kind() != ErrorKind::cancelled) fetcher_.fail(std::current_exception());
      } catch (...) {
        fetcher_.fail(std::current_exception());
      }
      fetcher_.done(delivery);
    }
  }

  // The next job of the plan as pieces to fetch. Called by the fetcher, one call at a time.
  std::optional<Task> next_task() {
    if (next_job_ == plan_.jobs.size()) return std::nullopt;
    const auto& job = plan_.jobs[next_job_++];
    Task task;
    if (job.kind != JobKind::empty) {
      const auto object = object_of(first_file(job));
      for (std::uint64_t at = 0; at < job.length; at += sizes_.piece) {
        task.pieces.push_back({object, {job.offset + at, std::min(sizes_.piece, job.length - at)}});
      }
    }
    task.work = [this, &job](Delivery& delivery) { do_job(job, delivery); };
    return task;
  }

  void do_job(const Job& job, Delivery& delivery) {
    if (job.kind == JobKind::empty) {
      for (std::uint32_t i = 0; i < job.count && !fetcher_.stopping(); ++i) {
        make_empty(plan_.files[job.first + i]);
      }
    } else if (job.kind == JobKind::map) {
      do_map(plan_.files[job.first], delivery);
    } else if (job.count == 1 && !first_file(job).block_incremental()) {
      do_plain(plan_.files[job.first], delivery);
    } else {
      do_run(job, delivery);
    }
  }

  void make_empty(std::uint32_t index) {
    const auto& file = manifest_.files[index];
    while_doing("restoring " + printable(file.name), [&] {
      auto output = OutputFile::create(nodes_, index, wanted_[index]);
      output.finish();
    });
    report_.file_done();
  }

  // One plain file, in as many pieces as it has.
  void do_plain(std::uint32_t index, Delivery& delivery) {
    const auto& file = manifest_.files[index];
    const auto first_try = [&](Count& count) {
      auto output = OutputFile::create(nodes_, index, wanted_[index]);
      ProvingSink sink(output, file, count.adder());
      Decoder decoder(manifest_, stored_form(manifest_, file), sink);
      for (std::size_t i = 0; i < delivery.pieces().size(); ++i) {
        const auto buffer = delivery.next();
        decoder.write(buffer.bytes());
      }
      decoder.finish();
      output.finish();
    };
    with_second_chance(index, first_try);
  }

  // Files that lie side by side in one object and came as one piece.
  void do_run(const Job& job, Delivery& delivery) {
    std::optional<Delivery::Buffer> buffer;
    try {
      buffer.emplace(delivery.next());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) {
        Error named = error;
        named.add_frame("restoring " + describe(plan_.files[job.first]));
        throw named;
      }
      // Part of what these files need has not come; each is asked for on its own.
      for (std::uint32_t i = 0; i < job.count; ++i) {
        report_.warning(again(plan_.files[job.first + i], error));
        fetch_again(plan_.files[job.first + i]);
      }
      return;
    }

    auto rest = std::make_shared<Rest>();
    for (std::uint32_t i = 0; i < job.count; ++i) {
      if (fetcher_.stopping()) return;
      const auto index = plan_.files[job.first + i];
      const auto& file = manifest_.files[index];
      const auto stored =
          buffer->bytes().subspan(static_cast<std::size_t>(stored_offset(file) - job.offset),
                                  static_cast<std::size_t>(file.repo_size));
      if (file.block_incremental()) {
        do_block_member(index, stored, *rest);
        continue;
      }
      with_second_chance(index, [&](Count& count) {
        auto output = OutputFile::create(nodes_, index, wanted_[index]);
        ProvingSink sink(output, file, count.adder());
        Decoder decoder(manifest_, stored_form(manifest_, file), sink);
        decoder.write(stored);
        decoder.finish();
        output.finish();
      });
    }
    fetch_rest(std::move(rest));
  }

  // A block-incremental file whose own stored bytes are all here: writes the blocks that are in
  // them and leaves the others to `rest`.
  void do_block_member(std::uint32_t index, ByteView stored, Rest& rest) {
    const auto& file = manifest_.files[index];
    bool more = false;
    with_second_chance(
        index,
        [&](Count& count) {
          const auto map_at = static_cast<std::size_t>(file.repo_size - file.block_map_size);
          auto blocks =
              wanted_super_blocks(manifest_, index, decode_map(manifest_, stored.subspan(map_at)));
          auto output = OutputFile::create(nodes_, index, wanted_[index]);
          BlockWriter writer(output, file, count.adder());
          std::vector<WantedSuperBlock> elsewhere;
          for (auto& block : blocks) {
            const auto begin = stored_offset(file);
            const bool own = block.where.reference == file.reference &&
                             block.where.bundle_id == file.bundle_id &&
                             block.where.offset >= begin && block.where.offset - begin <= map_at &&
                             block.where.stored_size <= map_at - (block.where.offset - begin);
            if (!own) {
              elsewhere.push_back(std::move(block));
              continue;
            }
            writer.write(
                block,
                decode(block, stored.subspan(static_cast<std::size_t>(block.where.offset - begin),
                                             static_cast<std::size_t>(block.where.stored_size))));
          }
          more = !elsewhere.empty();
          if (more) {
            std::ranges::move(elsewhere, std::back_inserter(rest.blocks));
            rest.files.push_back(index);
            rest.counts.emplace(index, count);
          } else {
            writer.prove();
            output.finish();
          }
        },
        [&] { return !more; });
  }

  // A large block-incremental file: its map has come, all its super blocks are still to be fetched.
  void do_map(std::uint32_t index, Delivery& delivery) {
    auto rest = std::make_shared<Rest>();
    with_second_chance(
        index,
        [&](Count& count) {
          Bytes stored;
          for (std::size_t i = 0; i < delivery.pieces().size(); ++i) {
            const auto buffer = delivery.next();
            stored.insert(stored.end(), buffer.bytes().begin(), buffer.bytes().end());
          }
          rest->blocks = wanted_super_blocks(manifest_, index, decode_map(manifest_, stored));
          rest->files = {index};
          rest->counts.emplace(index, count);
          OutputFile::create(nodes_, index, wanted_[index]);
        },
        [&] { return rest->files.empty(); });
    fetch_rest(std::move(rest));
  }

  // Makes a task of what is still needed, before all others, so that few files are half done at any
  // time. It is a task of its own because waiting for it here would leave this worker idle for a
  // whole round trip.
  void fetch_rest(std::shared_ptr<Rest> rest) {
    if (rest->blocks.empty()) return;
    sort_by_place(manifest_, rest->blocks);
    rest->runs = group_by_request(rest->blocks, manifest_, sizes_.piece, sizes_.gap);
    Task task;
    for (const auto& run : rest->runs) {
      task.pieces.push_back(
          {restore::object_of(repository_.stanza(), manifest_, rest->blocks[run.first]),
           run.range});
    }
    task.work = [this, rest = std::move(rest)](Delivery& delivery) { do_rest(*rest, delivery); };
    fetcher_.add_first(std::move(task));
  }

  void do_rest(Rest& rest, Delivery& delivery) {
    // The file that is being written. Neighbouring super blocks are mostly of one file, and with
    // one file open at a time a bundle of thousands needs no more descriptors than any other.
    struct Current {
      std::uint32_t index;
      OutputFile output;
      BlockWriter writer;
      Current(Engine& engine, std::uint32_t file, Count& count)
          : index(file),
            output(OutputFile::reopen(engine.nodes_, file, engine.wanted_[file])),
            writer(output, engine.manifest_.files[file], count.adder()) {}
    };
    std::unique_ptr<Current> current;
    std::set<std::uint32_t> proven, wrong;
    const auto give_up = [&](std::uint32_t index, const Error& error) {
      report_.warning(again(index, error));
      wrong.insert(index);
      if (current && current->index == index) current.reset();
    };
    const auto close = [&] {
      if (!current) return;
      const auto index = current->index;
      try {
        if (current->writer.whole_in_order()) {
          current->writer.prove();
          current->output.finish();
          proven.insert(index);
        }
        current.reset();
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        give_up(index, error);
      }
    };

    for (const auto& run : rest.runs) {
      std::optional<Delivery::Buffer> buffer;
      std::optional<Error> broken;
      try {
        while_doing("restoring " + describe(rest.blocks[run.first].file),
                    [&] { buffer.emplace(delivery.next()); });
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        broken = error;
      }
      for (std::size_t i = run.first; i < run.first + run.count; ++i) {
        const auto& block = rest.blocks[i];
        if (wrong.contains(block.file)) continue;
        if (broken) {
          give_up(block.file, *broken);
          continue;
        }
        while_doing("restoring " + describe(block.file), [&] {
          if (!current || current->index != block.file) {
            close();
            current = std::make_unique<Current>(*this, block.file, rest.counts.at(block.file));
          }
          try {
            current->writer.write(
                block,
                decode(block, buffer->bytes().subspan(
                                  static_cast<std::size_t>(block.where.offset - run.range.offset),
                                  static_cast<std::size_t>(block.where.stored_size))));
          } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt) throw;
            give_up(block.file, error);
          }
        });
      }
    }
    close();

    for (const auto index : rest.files) {
      if (proven.contains(index)) {
        report_.file_done();
        continue;
      }
      if (!wrong.contains(index)) {
        try {
          while_doing("restoring " + describe(index), [&] {
            auto output = OutputFile::reopen(nodes_, index, wanted_[index]);
            prove(manifest_.files[index], output.read_back());
            output.finish();
          });
          report_.file_done();
          continue;
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::corrupt) throw;
          report_.warning(again(index, error));
        }
      }
      rest.counts.at(index).take_back();
      fetch_again(index);
    }
  }

  // Runs the first attempt at a file; where its bytes turn out to be wrong, fetches all of them
  // once more. `whole` says whether the file is complete when the attempt went well.
  template <typename Attempt, typename Whole>
  void with_second_chance(std::uint32_t index, const Attempt& attempt, const Whole& whole) {
    Count count(report_);
    try {
      while_doing("restoring " + describe(index), [&] { attempt(count); });
      if (whole()) report_.file_done();
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      count.take_back();
      report_.warning(again(index, error));
    }
    fetch_again(index);
  }
  template <typename Attempt>
  void with_second_chance(std::uint32_t index, const Attempt& attempt) {
    with_second_chance(index, attempt, [] { return true; });
  }

  // Everything of one file, by requests of this worker's own: the way of the rare second attempt,
  // which is kept simple and slow.
  void fetch_again(std::uint32_t index) {
    const auto& file = manifest_.files[index];
    Count count(report_);
    const auto attempt = [&] {
      auto output = OutputFile::create(nodes_, index, wanted_[index]);
      if (file.block_incremental()) {
        MemorySink stored(static_cast<std::size_t>(file.block_map_size));
        read(object_of(file),
             {stored_offset(file) + file.repo_size - file.block_map_size, file.block_map_size},
             stored);
        BlockWriter writer(output, file, count.adder());
        std::string damage;
        for (const auto& block :
             wanted_super_blocks(manifest_, index, decode_map(manifest_, stored.bytes()))) {
          const auto object = restore::object_of(repository_.stanza(), manifest_, block);
          MemorySink bytes(static_cast<std::size_t>(block.where.stored_size));
          const Range range{block.where.offset, block.where.stored_size};
          read(object, range, bytes);
          const auto plain = decode(block, bytes.bytes());
          if (const auto bad = first_bad_block(file, block, plain); bad && damage.empty()) {
            damage = fmt::format("decoding {}, where block {} does not match the block map",
                                 place(object, range), *bad);
          }
          writer.write(block, plain);
        }
        try {
          writer.prove();
        } catch (Error& error) {
          if (!damage.empty()) error.add_frame(damage);
          throw;
        }
      } else {
        ProvingSink sink(output, file, count.adder());
        Decoder decoder(manifest_, stored_form(manifest_, file), sink);
        read(object_of(file), {stored_offset(file), file.repo_size}, decoder);
        decoder.finish();
      }
      output.finish();
    };
    try {
      while_doing("restoring " + describe(index) + ", at the second attempt", attempt);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::corrupt && error.hint().empty()) {
        error.with_hint("the repository holds damaged bytes; another backup (--set) may be whole");
      }
      throw;
    }
    report_.file_done();
  }

  void read(const std::string& object, Range range, Sink& sink) {
    StoppableSink stoppable(fetcher_, report_, sink);
    report_.requested();
    repository_.storage().read(object, range, stoppable);
  }

  Bytes decode(const WantedSuperBlock& block, ByteView stored) {
    // The object is named only if it comes to that: names cost memory, and files are many.
    try {
      return decode_super_block(manifest_, stored, block.where.logical_size);
    } catch (Error& error) {
      error.add_frame("decoding " +
                      place(restore::object_of(repository_.stanza(), manifest_, block),
                            {block.where.offset, block.where.stored_size}));
      throw;
    }
  }

  const ManifestFile& first_file(const Job& job) const {
    return manifest_.files[plan_.files[job.first]];
  }
  static std::uint64_t stored_offset(const ManifestFile& file) {
    return file.bundled() ? file.bundle_offset : 0;
  }
  std::string object_of(const ManifestFile& file) const {
    return repository::layout::object_of(repository_.stanza(), manifest_, file);
  }
  std::string place(const std::string& object, Range range) const {
    return fmt::format("{} (bytes {} to {})", repository_.storage().describe(object), range.offset,
                       range.offset + range.length);
  }
  std::string describe(std::uint32_t index) const {
    const auto& file = manifest_.files[index];
    return fmt::format("{} from {}", printable(file.name),
                       place(object_of(file), {stored_offset(file), file.repo_size}));
  }
  std::string again(std::uint32_t index, const Error& error) const {
    return fmt::format("{}: {}; fetching it again", describe(index), error.what());
  }

  const repository::Repository& repository_;
  const repository::Manifest& manifest_;
  const Nodes& nodes_;
  const Plan& plan_;
  const std::vector<NodeMask>& wanted_;
  const EngineLimits& limits_;
  const PlanLimits sizes_;
  Report& report_;
  std::size_t next_job_ = 0;  // guarded by the fetcher's lock
  Fetcher fetcher_;           // last: its threads use what stands above
};

}  // namespace

PlanLimits EngineLimits::plan() const { return {.piece = Fetcher::piece_size(memory, jobs)}; }

void run_plan(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
              const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
              std::stop_token stop) {
  Engine(repository, nodes, plan, wanted, limits, report, std::move(stop)).run();
}

}  // namespace pgrevive::restore
