#include "fuzz/fuzz.h"
#include "repository/repository.h"
#include "wal/record_format.h"
#include "wal/segment_file.h"
#include "wal/tablespace_records.h"
#include "wal/transaction_times.h"

// WAL segments, by their page and record headers: any bytes are either refused or taken for what
// the caller expects, the same in whatever pieces they come; what is found in them lies in them.
namespace {

using namespace pgrevive;

class Nowhere : public Sink {
 public:
  void write(ByteView) override {}
  void finish() override {}
};

std::optional<wal::TransactionTimes::Times> times_in(ByteView segment, std::size_t piece) {
  wal::TransactionTimes reader;
  fuzz::pump(segment, piece, reader);
  return reader.times();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto segment = fuzz::input(data, size);

  const auto whole = times_in(segment, size + 1);
  const auto pieces = times_in(segment, 11);
  fuzz::require(whole.has_value() == pieces.has_value(), "pieces decide nothing");
  if (whole) {
    fuzz::require(whole->first == pieces->first && whole->last == pieces->last &&
                      whole->latest == pieces->latest,
                  "pieces change no time");
    fuzz::require(whole->latest >= whole->first && whole->latest >= whole->last,
                  "the latest is the latest");
  }

  fuzz::refusal_of([&] {
    const auto found = wal::find_tablespace_records(segment);
    for (const auto& record : found.records)
      fuzz::require(record.path.size() < size, "a path is in the segment");
    fuzz::require(found.unfinished.bytes.size() <= size, "and so is what goes on in the next");
    // As the segment behind itself: whatever the record before it says.
    wal::find_tablespace_records(segment, found.unfinished);
  });
  wal::may_end_tablespace_record(segment);

  // A segment of just this size, whatever its own header says.
  if (size >= wal::kLongHeaderSize) {
    fuzz::refusal_of([&] {
      Nowhere nowhere;
      wal::SegmentHead head(nowhere, size);
      fuzz::pump(segment, 11, head);
      head.check({.archive_id = "15-1", .name = "000000010000000000000001", .object = "x"},
                 postgres::WalSegment(postgres::Timeline(1), 1, static_cast<std::uint32_t>(size)),
                 {});
      fuzz::require(load_le<std::uint64_t>(segment, 8) == size, "the position is the segment's");
    });
  }
  return 0;
}
