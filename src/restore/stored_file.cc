#include "restore/stored_file.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "codec/hash.h"
#include "repository/layout.h"
#include "restore/decode.h"

namespace pgrevive::restore {
namespace {

constexpr std::uint64_t kMost = 16u << 20;

}  // namespace

std::optional<Bytes> read_stored_file(const repository::Repository& repository,
                                      const repository::Manifest& manifest,
                                      std::string_view name) {
  const auto found =
      std::ranges::lower_bound(manifest.files, name, {}, &repository::ManifestFile::name);
  if (found == manifest.files.end() || found->name != name) return {};
  const auto& file = *found;
  if (file.size == 0) return Bytes();
  if (file.size > kMost || file.block_incremental()) return {};
  return while_doing("reading " + printable(name) + " of backup " + manifest.label.text(), [&] {
    MemorySink plain(static_cast<std::size_t>(file.size));
    Decoder decoder(manifest, stored_form(manifest, file), plain);
    repository.storage().read(
        repository::layout::object_of(repository.stanza(), manifest, file),
        storage::Range{.offset = file.bundled() ? file.bundle_offset : 0, .length = file.repo_size},
        decoder);
    decoder.finish();
    auto bytes = plain.take();
    if (bytes.size() != file.size || codec::Sha1::of(bytes) != file.checksum)
      throw Error(ErrorKind::corrupt, "checksum does not match");
    return std::optional(std::move(bytes));
  });
}

}  // namespace pgrevive::restore
