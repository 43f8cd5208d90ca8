#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "codec/hash.h"

namespace pgrevive::bench {

// Objects of any size that lie in a megabyte of memory: each is the same noise over and over, and
// ends with its number. So their checksums are known without hashing each, nothing passes for
// another object or for another part of one, and a server has next to no work with them.
//
// Immutable: any thread, and any process forked from this one, may call anything.
class SyntheticObjects {
 public:
  SyntheticObjects(std::uint64_t count, std::uint64_t size);  // at least 8 bytes each
  ~SyntheticObjects();
  SyntheticObjects(const SyntheticObjects&) = delete;
  SyntheticObjects& operator=(const SyntheticObjects&) = delete;

  std::uint64_t count() const { return count_; }
  std::uint64_t size() const { return size_; }
  static std::string name(std::uint64_t number);  // "object-0001"
  codec::Sha1 checksum(std::uint64_t number) const;

  // Bytes of an object that lie side by side in memory, from `offset` on.
  struct Run {
    ByteView bytes;
    std::uint64_t in_file = 0;  // where they begin in file()
  };
  Run run(std::uint64_t number, std::uint64_t offset) const;
  int file() const { return file_.get(); }

 private:
  std::uint64_t mark_begin() const;

  const std::uint64_t count_;
  const std::uint64_t size_;
  Fd file_;
  std::byte* memory_ = nullptr;
  codec::Sha1Hasher before_mark_;
};

}  // namespace pgrevive::bench
