#include "restore/block_file.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include <fmt/format.h>

#include "base/error.h"
#include "repository/layout.h"

namespace pgrevive::restore {

namespace {

// Where a super block lies, as something to sort by. Without a bundle each file has its own object.
auto place_of(const repository::Manifest& manifest, const WantedSuperBlock& block) {
  return std::tuple(
      block.where.reference, block.where.bundle_id,
      block.where.bundle_id == 0 ? manifest.files[block.file].name : std::string_view(),
      block.where.offset);
}

bool same_object(const repository::Manifest& manifest, const WantedSuperBlock& a,
                 const WantedSuperBlock& b) {
  return a.where.reference == b.where.reference && a.where.bundle_id == b.where.bundle_id &&
         (a.where.bundle_id != 0 || manifest.files[a.file].name == manifest.files[b.file].name);
}

}  // namespace

std::vector<WantedSuperBlock> wanted_super_blocks(const repository::Manifest& manifest,
                                                  std::uint32_t file_index, ByteView bytes) {
  const auto& file = manifest.files[file_index];
  const auto map = repository::BlockMap::parse(
      bytes, file.block_size, file.block_checksum_size,
      static_cast<std::uint32_t>(manifest.references.size()), file.size);
  const auto block_count = (file.size + file.block_size - 1) / file.block_size;
  if (map.blocks.size() != block_count) {
    throw Error(ErrorKind::corrupt, fmt::format("its block map has {} blocks where the file has {}",
                                                map.blocks.size(), block_count));
  }

  constexpr auto kUnseen = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> position(map.super_blocks.size(), kUnseen);
  std::vector<WantedSuperBlock> wanted;
  for (std::size_t i = 0; i < map.blocks.size(); ++i) {
    const auto& block = map.blocks[i];
    const auto& super_block = map.super_blocks.at(block.super_block);
    auto& at = position[block.super_block];
    if (at == kUnseen) {
      // It is fetched as a whole, so its size is memory. Neither compression nor a cipher makes so
      // much more of the plain bytes.
      const auto most = (64u << 10) + 2 * super_block.logical_size;
      if (super_block.stored_size == 0 || super_block.stored_size > most ||
          super_block.offset >
              std::numeric_limits<std::uint64_t>::max() - super_block.stored_size) {
        throw Error(ErrorKind::corrupt, "its block map has a super block that cannot be");
      }
      at = wanted.size();
      wanted.push_back({.file = file_index, .where = super_block, .blocks = {}});
    }
    wanted[at].blocks.push_back({.number = static_cast<std::uint32_t>(i),
                                 .in_super_block = block.block_in_super_block,
                                 .checksum = block.checksum});
  }
  return wanted;
}

std::string object_of(const std::string& stanza, const repository::Manifest& manifest,
                      const WantedSuperBlock& block) {
  auto file = manifest.files[block.file];
  file.reference = block.where.reference;
  file.bundle_id = block.where.bundle_id;
  return repository::layout::object_of(stanza, manifest, file);
}

void sort_by_place(const repository::Manifest& manifest, std::vector<WantedSuperBlock>& blocks) {
  std::ranges::stable_sort(
      blocks, {}, [&](const WantedSuperBlock& block) { return place_of(manifest, block); });
}

std::vector<SuperBlockRun> group_by_request(const std::vector<WantedSuperBlock>& blocks,
                                            const repository::Manifest& manifest,
                                            std::uint64_t piece, std::uint64_t gap) {
  std::vector<SuperBlockRun> runs;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto& where = blocks[i].where;
    if (!runs.empty() && same_object(manifest, blocks[i - 1], blocks[i])) {
      auto& run = runs.back();
      const auto run_end = run.range.offset + run.range.length;
      const auto end = std::max(run_end, where.offset + where.stored_size);
      if ((where.offset <= run_end || where.offset - run_end <= gap) &&
          end - run.range.offset <= piece) {
        run.range.length = end - run.range.offset;
        ++run.count;
        continue;
      }
    }
    runs.push_back({i, 1, {where.offset, where.stored_size}});
  }
  return runs;
}

std::optional<std::uint32_t> first_bad_block(const repository::ManifestFile& file,
                                             const WantedSuperBlock& block, ByteView plain) {
  const std::uint64_t size = file.block_size;
  for (const auto& one : block.blocks) {
    const auto from = std::min<std::uint64_t>(one.in_super_block * size, plain.size());
    const auto length =
        std::min(std::min(size, file.size - one.number * size), plain.size() - from);
    const auto checksum = codec::xxh3_128(
        plain.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(length)));
    const auto kept = std::min<std::size_t>(file.block_checksum_size, checksum.size());
    if (!std::equal(checksum.begin(), checksum.begin() + static_cast<std::ptrdiff_t>(kept),
                    one.checksum.begin())) {
      return one.number;
    }
  }
  return std::nullopt;
}

BlockWriter::BlockWriter(OutputFile& output, const repository::ManifestFile& file,
                         std::function<void(std::uint64_t)> written)
    : output_(output), file_(file), written_(std::move(written)), end_(file.size) {}

void BlockWriter::write(const WantedSuperBlock& block, ByteView plain) {
  const std::uint64_t size = file_.block_size;
  const auto offset_of = [&](const WantedSuperBlock::Block& one) { return one.number * size; };
  const auto length_of = [&](const WantedSuperBlock::Block& one) {
    return std::min(size, file_.size - offset_of(one));  // the last block may be short
  };
  for (std::size_t i = 0; i < block.blocks.size();) {
    // Blocks that are neighbours in both places are one write.
    const auto& first = block.blocks[i];
    std::uint64_t length = length_of(first);
    std::size_t next = i + 1;
    while (next < block.blocks.size() && length == (next - i) * size &&
           block.blocks[next].number == first.number + (next - i) &&
           block.blocks[next].in_super_block == first.in_super_block + (next - i)) {
      length += length_of(block.blocks[next]);
      ++next;
    }
    const auto from = first.in_super_block * size;
    if (from > plain.size() || length > plain.size() - from) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("a super block has {} bytes where the block map needs {}",
                              plain.size(), from + length));
    }
    const auto bytes =
        plain.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(length));
    output_.write_at(offset_of(first), bytes);
    if (offset_of(first) == next_) {
      hasher_.update(bytes);
      next_ += length;
    }
    written_(length);
    i = next;
  }
}

void BlockWriter::prove() {
  if (whole_in_order()) {
    restore::prove(file_, {hasher_.value(), next_});
  } else {
    restore::prove(file_, output_.read_back());
  }
}

}  // namespace pgrevive::restore
