#include "codec/hash.h"
#include "fuzz/fuzz.h"
#include "postgres/control_file.h"
#include "postgres/wal_name.h"

// Any bytes are either refused or a control file whose numbers can be used as they are; spoiled, it
// is the same but for its checkpoint. The checksum, which no fuzzer finds, is put right first.
namespace {

using namespace pgrevive;

void check(ByteView bytes) {
  fuzz::refusal_of([&] {
    const auto control = postgres::ControlFile::parse(bytes);
    fuzz::require(control.version != postgres::Version(), "the version is known");
    fuzz::require(postgres::is_segment_size(control.wal_segment_size), "segments have a size");

    const auto spoiled = postgres::spoil_checkpoint(bytes);
    fuzz::require(spoiled.size() == bytes.size(), "spoiling keeps the size");
    const auto again = postgres::ControlFile::parse(spoiled);
    fuzz::require(again.checkpoint == postgres::kSpoiledCheckpoint, "the checkpoint is spoiled");
    fuzz::require(again.system_id == control.system_id && again.redo == control.redo,
                  "and nothing else");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::input(data, size);
  check(bytes);
  // Where the versions have it (docs/format/pg_control.md).
  for (const std::size_t at : {284, 288, 292, 296}) {
    if (size < at + 4) continue;
    Bytes right(bytes.begin(), bytes.end());
    const auto sum = codec::crc32c(bytes.first(at));
    for (std::size_t i = 0; i < 4; ++i)
      right[at + i] = static_cast<std::byte>(sum >> (8 * i) & 0xff);
    check(right);
  }
  return 0;
}
