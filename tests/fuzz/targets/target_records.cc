#include "wal/target_records.h"

#include <algorithm>

#include "fuzz/fuzz.h"
#include "wal/record_format.h"
#include "wal/record_reader.h"

// What is looked for in WAL when a target is a name or a transaction. The input is a choice of what
// is wanted, of PostgreSQL's version and of how a record begins; then either whole segments or the
// bytes of single records. What is found is the same in whatever pieces the bytes come, in the
// order of the log, and is what was asked for.
namespace {

using namespace pgrevive;
using wal::TargetRecords;
using wal::WantedPoint;

void check(const TargetRecords& found, const WantedPoint& wanted) {
  const bool by_name = wanted.kind == WantedPoint::Kind::name;
  if (by_name)
    fuzz::require(found.marks.empty() && !found.top_level, "a name is not looked for in others");
  else
    fuzz::require(found.restore_points.empty(), "nor a transaction in restore points");
  for (const auto& point : found.points) {
    fuzz::require((point.kind == wal::TargetPoint::Kind::restore_point) == by_name,
                  "a point is of the wanted kind");
    fuzz::require(point.begin < point.end, "it ends behind its beginning");
    fuzz::require(point.time >= 0, "its time is one that a clock may have had");
  }
  for (const auto& point : found.restore_points) {
    fuzz::require(point.name.size() <= 64 && point.name.find('\0') == std::string::npos,
                  "a name is a string of PostgreSQL");
    const bool is_wanted = std::ranges::any_of(
        found.points, [&](const auto& other) { return other.begin == point.begin; });
    fuzz::require(is_wanted == (point.name == wanted.name),
                  "all that have the name, and no others");
  }
}

TargetRecords in_segments(ByteView bytes, std::size_t piece, const WantedPoint& wanted,
                          postgres::Version version) {
  TargetRecords found(wanted, version);
  wal::RecordReader reader(found);
  fuzz::pump(bytes, piece, reader);
  const auto unfinished = reader.unfinished();
  fuzz::require(unfinished.bytes.size() <= bytes.size(), "what goes on is of what came");
  return found;
}

// One after the other, each behind its length: what a checksum lets through.
TargetRecords of_records(ByteView bytes, const WantedPoint& wanted, postgres::Version version) {
  TargetRecords found(wanted, version);
  std::uint64_t at = 4096;
  while (bytes.size() >= 2) {
    const auto size = std::min<std::size_t>(load_le<std::uint16_t>(bytes, 0), bytes.size() - 2);
    auto record = bytes.subspan(2, size);
    bytes = bytes.subspan(2 + size);
    if (record.size() < wal::kRecordHeaderSize) continue;
    record = record.first(
        std::min(record.size(), std::max(found.wanted(record), wal::kRecordHeaderSize)));
    found.record(postgres::Lsn(at), postgres::Lsn(at + size), record);
    at += size;
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Source source(fuzz::input(data, size));
  const auto choice = source.number<std::uint8_t>();
  const auto transaction = source.number<std::uint32_t>();
  const auto version = postgres::Version::of_major(10 + (choice >> 2) % 9);
  const WantedPoint wanted =
      (choice & 1) != 0
          ? WantedPoint{.kind = WantedPoint::Kind::transaction, .transaction = transaction}
          : WantedPoint{.kind = WantedPoint::Kind::name, .name = "here"};

  if ((choice & 2) != 0) {
    check(of_records(source.rest(), wanted, version), wanted);
    return 0;
  }
  const auto whole = in_segments(source.rest(), size + 1, wanted, version);
  const auto pieces = in_segments(source.rest(), 11, wanted, version);
  check(whole, wanted);
  fuzz::require(whole.points == pieces.points && whole.restore_points == pieces.restore_points &&
                    whole.marks == pieces.marks && whole.top_level == pieces.top_level,
                "pieces change nothing");
  fuzz::require(std::ranges::is_sorted(whole.marks, {}, &wal::TransactionMark::at) &&
                    std::ranges::is_sorted(whole.points, {}, &wal::TargetPoint::begin),
                "they are found in the order of the log");
  return 0;
}
