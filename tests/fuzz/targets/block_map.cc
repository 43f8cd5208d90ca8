#include "repository/block_map.h"

#include "fuzz/fuzz.h"
#include "restore/block_file.h"

// Any bytes are either refused or a map of just the file's blocks, every one inside of a super
// block whose place in its object can be; and what has to be read is what the blocks are in, once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  fuzz::Source source(fuzz::input(data, size));
  const auto block_size = (source.number<std::uint8_t>() % 16 + 1) * 8192u;
  const auto checksum_size = source.number<std::uint8_t>() % 16u + 1;
  const auto references = source.number<std::uint8_t>() % 8u + 1;
  const std::uint64_t file_size = source.flag() ? source.number<std::uint64_t>() >> 1
                                                : source.number<std::uint32_t>() % (4u << 20);
  const auto bytes = source.rest();
  fuzz::refusal_of([&] {
    const auto map =
        repository::BlockMap::parse(bytes, block_size, checksum_size, references, file_size);
    fuzz::require(map.blocks.size() * checksum_size <= bytes.size(), "memory is bounded by bytes");
    fuzz::require(map.super_blocks.size() <= bytes.size(), "and so it is for super blocks");
    fuzz::require(map.blocks.size() == (file_size + block_size - 1) / block_size, "all blocks");
    for (const auto& block : map.blocks) {
      fuzz::require(block.super_block < map.super_blocks.size(), "a block is in a super block");
      const auto& where = map.super_blocks[block.super_block];
      fuzz::require(std::uint64_t{block.block_in_super_block} * block_size < where.logical_size,
                    "and inside of it");
    }
    for (const auto& where : map.super_blocks) {
      fuzz::require(where.reference < references, "a super block is in a backup we know");
      fuzz::require(where.stored_size != 0 && where.offset + where.stored_size > where.offset,
                    "its place can be");
    }

    repository::Manifest manifest;
    for (unsigned i = 0; i < references; ++i) manifest.references.push_back(manifest.label);
    repository::ManifestFile file{.name = "pg_data/x", .size = file_size};
    file.block_size = block_size;
    file.block_checksum_size = static_cast<std::uint8_t>(checksum_size);
    file.block_map_size = bytes.size();
    manifest.files.push_back(file);
    auto wanted = restore::wanted_super_blocks(manifest, 0, bytes);
    std::size_t blocks = 0;
    for (const auto& one : wanted) {
      blocks += one.blocks.size();
      fuzz::require(one.where.stored_size <= (64u << 10) + 2 * one.where.logical_size,
                    "what is fetched as a whole is bounded by what comes of it");
    }
    fuzz::require(blocks == map.blocks.size(), "every block is wanted once");
    restore::sort_by_place(manifest, wanted);
    std::size_t next = 0;
    for (const auto& run : restore::group_by_request(wanted, manifest, 8u << 20, 64u << 10)) {
      fuzz::require(run.first == next, "requests follow each other");
      for (next = run.first; next < run.first + run.count; ++next) {
        const auto& where = wanted[next].where;
        fuzz::require(where.offset >= run.range.offset && where.stored_size <= run.range.length &&
                          where.offset - run.range.offset <= run.range.length - where.stored_size,
                      "a super block is inside of its request");
      }
    }
    fuzz::require(next == wanted.size(), "requests are for all of them");
  });
  return 0;
}
