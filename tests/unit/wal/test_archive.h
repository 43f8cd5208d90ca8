#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "codec/hash.h"
#include "repository/repository.h"
#include "support/memory_storage.h"

namespace pgrevive::wal {

inline constexpr std::uint32_t kSize = 1u << 20;
inline constexpr std::uint64_t kSystemId = 7710960940406228258;
inline const postgres::Version kVersion = postgres::Version::of_major(15);

// The bytes of a segment as PostgreSQL 15 begins it; `fill` makes contents differ.
inline std::string wal(const std::string& name, char fill = 'x',
                       std::uint64_t system_id = kSystemId, std::uint32_t size = kSize) {
  const auto segment = postgres::WalSegment::parse(name.substr(0, 24), kSize);
  std::string bytes(kSize, fill);
  const auto store = [&](std::size_t at, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  };
  store(0, 0xD110, 2);
  store(2, 0x0002, 2);
  store(4, segment.timeline().value(), 4);
  store(8, segment.begin().value(), 8);
  store(16, 0, 8);
  store(24, system_id, 8);
  store(32, kSize, 4);
  store(36, 8192, 4);
  bytes.resize(size);
  return bytes;
}

// A stanza with nothing but an archive, uncompressed.
class TestArchive {
 public:
  TestArchive() {
    repository::ArchiveInfo info;
    info.history.push_back({.id = 1, .system_id = kSystemId, .version = kVersion});
    info.current_id = 1;
    archive_.emplace(repository_, info, kSystemId, kVersion);
    storage_->set_piece(100'000);
  }

  // Returns the object's path.
  std::string put(const std::string& name, const std::string& bytes) {
    const auto path = "archive/main/15-1/" + name.substr(0, 16) + "/" + name + "-" +
                      codec::Sha1::of(as_bytes(bytes)).text();
    storage_->put(path, bytes);
    return path;
  }
  void put(const std::string& name) { put(name, wal(name)); }
  void put_plain(const std::string& path, const std::string& text) {
    storage_->put("archive/main/15-1/" + path, text);
  }
  test::MemoryStorage& storage() { return *storage_; }
  const repository::WalArchive* get() const { return &*archive_; }

 private:
  std::shared_ptr<test::MemoryStorage> storage_ = std::make_shared<test::MemoryStorage>();
  repository::Repository repository_{storage_, "main", Secret()};
  std::optional<repository::WalArchive> archive_;
};

}  // namespace pgrevive::wal
