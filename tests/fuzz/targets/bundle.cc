#include <set>

#include "codec/hash.h"
#include "fuzz/fuzz.h"
#include "restore/decode.h"
#include "restore/plan.h"

// Slices of bundles: wherever a manifest says that members lie, overlapping, far apart or behind
// each other's end, a job of the plan has them whole, and no job is longer than a request may be
// unless one member is. What a slice decodes to is the same in whatever pieces it comes.
namespace {

using namespace pgrevive;

constexpr std::size_t kMost = 4u << 20;

void check_plan(fuzz::Source& source, repository::Manifest& manifest) {
  const auto count = source.number<std::uint8_t>() % 12u + 1;
  std::set<std::string> names;
  for (unsigned i = 0; i < count; ++i) {
    repository::ManifestFile file{.name = manifest.keep(std::string("pg_data/") + char('a' + i))};
    const auto bits = source.number<std::uint8_t>();
    file.size = source.number<std::uint16_t>();
    file.bundle_id = bits % 3;
    file.reference = bits >> 2 & 1;
    const auto shift = bits >> 3 & 31;
    file.bundle_offset = std::uint64_t{source.number<std::uint32_t>()} << shift;
    file.repo_size = std::uint64_t{source.number<std::uint16_t>()} << (shift / 2);
    if (!file.bundled()) file.bundle_offset = 0;
    manifest.files.push_back(file);
  }
  const restore::PlanLimits limits{.piece = 1u << 20, .gap = 4096, .empty_files = 3};
  const std::vector<restore::NodeMask> wanted(manifest.files.size(), 1);
  const auto plan = restore::make_plan(manifest, wanted, limits);
  std::set<std::uint32_t> seen;
  for (const auto& job : plan.jobs) {
    for (std::size_t i = job.first; i < job.first + job.count; ++i) {
      const auto& file = manifest.files[plan.files[i]];
      fuzz::require(seen.insert(plan.files[i]).second, "a file is in one job");
      if (job.kind == restore::JobKind::empty) continue;
      fuzz::require(file.bundle_offset >= job.offset &&
                        file.bundle_offset - job.offset <= job.length &&
                        file.repo_size <= job.length - (file.bundle_offset - job.offset),
                    "a member is inside of its job");
      const auto& first = manifest.files[plan.files[job.first]];
      fuzz::require(file.bundle_id == first.bundle_id && file.reference == first.reference,
                    "a job is of one object");
    }
    fuzz::require(
        job.count == 1 || job.kind == restore::JobKind::empty || job.length <= limits.piece,
        "a run stays within one request");
  }
  fuzz::require(seen.size() == manifest.files.size(), "every member is in a job");
}

Bytes decode(const repository::Manifest& manifest, ByteView slice, std::size_t piece,
             std::optional<std::string>& refusal) {
  MemorySink plain(kMost);
  refusal = fuzz::refusal_of([&] {
    restore::Decoder decoder(manifest,
                             manifest.bundle_raw ? codec::Form::raw : codec::Form::standard, plain);
    fuzz::pump(slice, piece, decoder);
  });
  return plain.take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Source source(fuzz::input(data, size));
  repository::Manifest manifest;
  manifest.references = {manifest.label, manifest.label};
  const auto choice = source.number<std::uint8_t>();
  manifest.compress_type = static_cast<codec::CompressType>(choice % 5);
  manifest.bundle_raw = (choice & 0x40) != 0;
  if ((choice & 0x80) != 0) manifest.data_passphrase = Secret("fuzz");
  fuzz::refusal_of([&] { check_plan(source, manifest); });

  const auto slice = source.rest();
  std::optional<std::string> whole_refusal, pieces_refusal;
  const auto whole = decode(manifest, slice, slice.size() + 1, whole_refusal);
  const auto pieces = decode(manifest, slice, 5, pieces_refusal);
  fuzz::require(whole_refusal.has_value() == pieces_refusal.has_value(), "pieces decide nothing");
  if (!whole_refusal) fuzz::require(whole == pieces, "pieces change no byte");

  // The limit is the super block's own.
  fuzz::refusal_of([&] {
    const auto block = restore::decode_super_block(manifest, slice, 8192);
    fuzz::require(block.size() <= 8192, "a super block is no larger than its map says");
  });
  fuzz::refusal_of([&] {
    fuzz::require(restore::decode_map(manifest, slice).size() <= slice.size(),
                  "a map is no larger than what is stored of it");
  });
  return 0;
}
