#include "restore/pass.h"

#include <fmt/format.h>

#include "base/text.h"
#include "repository/layout.h"
#include "restore/block_file.h"
#include "restore/decode.h"
#include "restore/notices.h"
#include "restore/write/output_file.h"

namespace pgrevive::restore {

namespace {

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

}  // namespace

std::string Pass::object_of(const repository::ManifestFile& file) const {
  return repository::layout::object_of(repository.stanza(), manifest, file);
}

std::string Pass::place(const std::string& object, Range range) const {
  return fmt::format("{} (bytes {} to {})", repository.storage().describe(object), range.offset,
                     range.offset + range.length);
}

std::string Pass::describe(std::uint32_t index) const {
  const auto& one = file(index);
  return fmt::format("{} from {}", printable(one.name),
                     place(object_of(one), {stored_offset(one), one.repo_size}));
}

void Pass::fetch_again(std::uint32_t index, const Error& corrupt, const Fetcher& fetcher) const {
  const auto& one = file(index);
  const auto begin = stored_offset(one);
  report.warning(notice("fetched_again", printable(one.name),
                        repository.storage().describe(object_of(one)), std::to_string(begin),
                        std::to_string(begin + one.repo_size), corrupt.what()));
  Count count(report);
  try {
    while_doing("restoring " + describe(index) + ", at the second attempt",
                [&] { write_again(index, count, fetcher); });
  } catch (Error& error) {
    if (error.kind() == ErrorKind::corrupt && error.hint().empty()) {
      error.with_hint("the repository holds damaged bytes; another backup (--set) may be whole");
    }
    throw;
  }
  report.file_done();
}

void Pass::write_again(std::uint32_t index, Count& count, const Fetcher& fetcher) const {
  const auto& one = file(index);
  const auto read = [&](const std::string& object, Range range, Sink& sink) {
    StoppableSink stoppable(fetcher, report, sink);
    report.requested();
    repository.storage().read(object, range, stoppable, fetcher.stop_token());
  };
  auto output = OutputFile::create(nodes, index, wanted[index]);
  if (!one.block_incremental()) {
    ProvingSink sink(output, one, count.adder());
    Decoder decoder(manifest, stored_form(manifest, one), sink);
    read(object_of(one), {stored_offset(one), one.repo_size}, decoder);
    decoder.finish();
    output.finish();
    return;
  }

  MemorySink stored(static_cast<std::size_t>(one.block_map_size));
  read(object_of(one),
       {stored_offset(one) + one.repo_size - one.block_map_size, one.block_map_size}, stored);
  BlockWriter writer(output, one, count.adder());
  std::string damage;
  for (const auto& block :
       wanted_super_blocks(manifest, index, decode_map(manifest, stored.bytes()))) {
    const auto object = restore::object_of(repository.stanza(), manifest, block);
    MemorySink bytes(static_cast<std::size_t>(block.where.stored_size));
    const Range range{block.where.offset, block.where.stored_size};
    read(object, range, bytes);
    const auto plain = while_doing("decoding " + place(object, range), [&] {
      return decode_super_block(manifest, bytes.bytes(), block.where.logical_size);
    });
    if (const auto bad = first_bad_block(one, block, plain); bad && damage.empty()) {
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
  output.finish();
}

}  // namespace pgrevive::restore
