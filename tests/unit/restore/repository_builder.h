#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/guarded.h"
#include "codec/compress.h"
#include "codec/hash.h"
#include "repository/layout.h"
#include "repository/repository.h"
#include "support/compressors.h"
#include "support/memory_storage.h"

namespace pgrevive::test {

// A MemoryStorage between which and its reader something can happen: every read is first shown to
// `on_read`, which may wait, throw, or change the bytes that are about to be delivered.
class TamperedStorage : public storage::Storage {
 public:
  struct Read {
    std::string path;
    std::uint64_t offset = 0;
    int number = 0;  // of this path, from 1
    std::stop_token stop;
  };
  using OnRead = std::function<void(const Read&, std::string& bytes)>;

  MemoryStorage objects;
  OnRead on_read;  // set while nothing reads

  std::string describe(const std::string& path) const override { return objects.describe(path); }
  std::optional<std::uint64_t> stat(const std::string& path) const override {
    return objects.stat(path);
  }
  std::vector<storage::Entry> list(const std::string& directory) const override {
    return objects.list(directory);
  }
  void read(const std::string& path, std::optional<storage::Range> range, Sink& sink,
            std::stop_token stop) const override {
    MemorySink bytes;
    objects.read(path, range, bytes, stop);
    std::string text(as_text(bytes.bytes()));
    const int number = ++(*counts_.lock())[path];
    if (on_read) on_read({path, range ? range->offset : 0, number, stop}, text);
    constexpr std::size_t kPiece = 777;
    for (std::size_t at = 0; at < text.size(); at += kPiece) {
      sink.write(as_bytes(std::string_view(text).substr(at, kPiece)));
    }
  }

 private:
  mutable Guarded<std::map<std::string, int>> counts_;
};

// Text that no compressor makes much smaller, the same for the same seed.
inline std::string noise(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  std::uint32_t state = seed * 2654435761u + 12345u;
  for (auto& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

// Makes a repository of one backup, as pgBackRest would have stored it, in memory.
class RepositoryBuilder {
 public:
  static constexpr std::string_view kStanza = "main";
  static constexpr std::uint32_t kBlock = 8192;

  struct Form {
    codec::CompressType compress = codec::CompressType::none;
    std::string passphrase;
    bool raw = false;
  };

  RepositoryBuilder() : RepositoryBuilder(Form()) {}
  explicit RepositoryBuilder(Form form) : form_(std::move(form)) {
    manifest.label = repository::BackupLabel::parse("20240101-000000F_20240102-000000I");
    manifest.references = {repository::BackupLabel::parse("20240101-000000F"), manifest.label};
    manifest.version = postgres::Version::of_major(15);
    manifest.catalog_version = 202209061;
    manifest.system_id = 7654321;
    manifest.compress_type = form_.compress;
    manifest.bundle_raw = form_.raw;
    manifest.data_passphrase = Secret(form_.passphrase);
    manifest.owners = {{"root", "root"}};
    manifest.targets = {{.name = "pg_data", .path = "/source/pg"}};
    for (const auto* path :
         {"pg_data", "pg_data/base", "pg_data/base/1", "pg_data/global", "pg_data/pg_tblspc"}) {
      add_path(path);
    }
    add("pg_data/PG_VERSION", "15\n");
    add("pg_data/global/pg_control", control_file());
  }

  static std::string control_file() {
    // The recorded file is the part that carries data.
    auto bytes = read_file(std::filesystem::path(TEST_DATA_DIR) / "pg_control" / "15.bin");
    bytes.resize(8192);
    return bytes;
  }

  void add_path(const std::string& name, std::uint16_t mode = 0700) {
    manifest.paths.push_back({.name = manifest.keep(name), .mode = mode});
    std::ranges::sort(manifest.paths, {}, &repository::ManifestPath::name);
  }

  void add_tablespace(std::uint32_t oid, const std::string& name) {
    const auto path = fmt::format("pg_tblspc/{}", oid);
    manifest.targets.push_back({.name = manifest.keep(path),
                                .path = manifest.keep("/source/" + name),
                                .file = {},
                                .is_link = true,
                                .tablespace_oid = oid,
                                .tablespace_name = manifest.keep(name)});
    manifest.links.push_back({.name = manifest.keep("pg_data/" + path),
                              .destination = manifest.keep("/source/" + name)});
    add_path("pg_tblspc");
    add_path(path);
    add_path(path + "/PG_15_202209061");
  }

  // A file with an object of its own.
  repository::ManifestFile& add(const std::string& name, const std::string& text) {
    auto& file = entry(name, text);
    const auto stored = store(text, false);
    file.repo_size = stored.size();
    auto copy = file;
    if (!text.empty()) storage->objects.put(object_of(copy), stored);
    return sorted(name);
  }

  // Members of one bundle of the full backup (reference 0), end to end; `gap` bytes lie between.
  void add_bundle(std::uint64_t id, const std::vector<std::pair<std::string, std::string>>& members,
                  std::size_t gap = 0) {
    std::string object;
    for (const auto& [name, text] : members) {
      auto& file = entry(name, text);
      file.reference = 0;
      if (!text.empty()) {
        const auto stored = store(text, form_.raw);
        file.bundle_id = id;
        file.bundle_offset = object.size();
        file.repo_size = stored.size();
        object += stored + std::string(gap, '?');
      }
      sorted(name);
    }
    storage->objects.put(bundle(0, id), object);
  }

  // A block-incremental file of five blocks, two to a super block in the full backup, whose second
  // block the newest backup has changed:
  //
  //   full   [0 old1] [2 3] [4]
  //   own    [1] and the map
  //
  // It is in bundles where `bundled`, else in objects of its own. The last block is short.
  repository::ManifestFile& add_block_file(const std::string& name, const std::string& text,
                                           bool bundled) {
    auto& file = entry(name, text);
    file.block_size = kBlock;
    file.block_checksum_size = 6;
    file.bundle_id = bundled ? 7 : 0;
    file.bundle_offset = bundled ? 3 : 0;
    const auto block = [&](std::size_t i) { return text.substr(i * kBlock, kBlock); };
    const auto first = store(block(0) + std::string(kBlock, 'o'), true);
    const auto second = store(block(2) + block(3), true);
    const auto third = store(block(4), true);
    const auto own = store(block(1), true);

    // The layout of a map: docs/format/block_map.md.
    std::string map;
    const auto number = [&](std::uint64_t value) {
      for (; value >= 128; value >>= 7) map += static_cast<char>((value & 127) | 128);
      map += static_cast<char>(value);
    };
    const auto change = [](std::size_t from, std::size_t to) {
      const auto delta = static_cast<std::int64_t>(to) - static_cast<std::int64_t>(from);
      return static_cast<std::uint64_t>((delta << 1) ^ (delta >> 63));
    };
    const auto checksum = [&](std::size_t i) {
      const auto sum = codec::xxh3_128(as_bytes(block(i)));
      map += as_text(ByteView(sum).first(6));
    };
    const std::uint64_t in_bundle = bundled ? 2 : 0;
    number(0);
    number(0 << 3 | 4 | in_bundle);  // the full backup, at offset 3 of bundle 5
    if (bundled) number(5);
    number(3);
    number(first.size() << 3 | 1 | 2 | 4);
    number(2 << 1);  // two blocks long
    number(0);       // of which one
    checksum(0);
    number(1 << 3 | in_bundle | (bundled ? 4 : 0));  // the newest, where the file begins
    if (bundled) {
      number(7);
      number(3);
    }
    number(change(first.size(), own.size()) << 3 | 1);
    checksum(1);
    number(0 << 3 | 1);  // the full backup again, after what it gave before
    number(change(own.size(), second.size()) << 3);
    checksum(2);
    checksum(3);
    number(change(second.size(), third.size()) << 3 | 1 | 2);
    number(1 << 1);
    checksum(4);
    const auto stored_map = form_.passphrase.empty() ? map : make_cipher(map, form_.passphrase);

    file.block_map_size = stored_map.size();
    file.repo_size = own.size() + stored_map.size();
    auto copy = file;
    copy.reference = 0;
    copy.bundle_id = bundled ? 5 : 0;
    full_object = object_of(copy);
    storage->objects.put(full_object, "..." + first + second + third);
    storage->objects.put(object_of(file), (bundled ? "..." : "") + own + stored_map);
    return sorted(name);
  }

  repository::ManifestFile& file(std::string_view name) {
    return *std::ranges::find(manifest.files, name, &repository::ManifestFile::name);
  }
  std::string object_of(const repository::ManifestFile& file) const {
    return repository::layout::object_of(kStanza, manifest, file);
  }
  std::string bundle(std::uint32_t reference, std::uint64_t id) const {
    return repository::layout::bundle(kStanza, manifest.references[reference], id);
  }
  repository::Repository repository() const {
    return {storage, std::string(kStanza), Secret(form_.passphrase.empty() ? "" : "user")};
  }

  std::shared_ptr<TamperedStorage> storage = std::make_shared<TamperedStorage>();
  repository::Manifest manifest;
  std::map<std::string, std::string> contents;  // by manifest name, what a restore has to give
  std::string full_object;                      // of the last block-incremental file

 private:
  repository::ManifestFile& entry(const std::string& name, const std::string& text) {
    contents[name] = text;
    manifest.files.push_back({.name = manifest.keep(name),
                              .size = text.size(),
                              .timestamp = 1'700'000'000 + static_cast<std::int64_t>(text.size()),
                              .checksum = codec::Sha1::of(as_bytes(text)),
                              .reference = 1,
                              .page_checksums_ok = {}});
    return manifest.files.back();
  }
  repository::ManifestFile& sorted(const std::string& name) {
    std::ranges::sort(manifest.files, {}, &repository::ManifestFile::name);
    return file(name);
  }
  std::string store(const std::string& text, bool raw) const {
    std::string bytes = text;
    switch (form_.compress) {
      case codec::CompressType::none:
        break;
      case codec::CompressType::gz:
        bytes = raw ? make_zlib(text) : make_gzip(text);
        break;
      case codec::CompressType::bz2:
        bytes = make_bz2(text);
        break;
      case codec::CompressType::lz4:
        bytes = make_lz4(text, raw ? ContentChecksum::no : ContentChecksum::yes);
        break;
      case codec::CompressType::zst:
        bytes = make_zst(text);
        break;
    }
    if (form_.passphrase.empty()) return bytes;
    return raw ? make_cipher(bytes, form_.passphrase) : make_salted(bytes, form_.passphrase);
  }

  Form form_;
};

}  // namespace pgrevive::test
