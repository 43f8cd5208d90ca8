#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "codec/hash.h"
#include "codec/sink.h"
#include "repository/manifest.h"
#include "restore/nodes.h"

namespace pgrevive::restore {

// From this size on a file goes to the disk without a stay in the page cache, where that can be.
inline constexpr std::uint64_t kLargeFile = std::uint64_t{1} << 20;

// Writes all of `bytes`; throws Error{system} naming the path.
void write_all_at(int fd, std::uint64_t offset, ByteView bytes,
                  const std::filesystem::path& path_for_messages);
// What is to be thrown for an errno of a write.
Error write_error(int error, const std::filesystem::path& path);

// One file of the manifest under its name on each node that wants it. Every byte given is written
// to all of them, but for nodes whose large files are clones of another's (write/clones.h). Used by
// one thread at a time.
class OutputFile {
 public:
  // Makes it anew: what had its name is gone.
  static OutputFile create(const Nodes& nodes, std::uint32_t file, NodeMask wanted);
  // Likewise, as a sparse file of zeros: all that is left to do is finish().
  static OutputFile zeros(const Nodes& nodes, std::uint32_t file, NodeMask wanted);
  // Opens one that create() made.
  static OutputFile reopen(const Nodes& nodes, std::uint32_t file, NodeMask wanted);

  struct Output {
    Fd fd;
    std::filesystem::path path;
    bool direct = false;  // takes writes of whole pages from whole pages only
  };

  // Reserves the space of the whole file, and has those of its outputs that can do without the page
  // cache do so. For files just created.
  void go_direct();
  std::vector<Output>& outputs() { return outputs_; }

  // Through the page cache; not for outputs that are direct.
  void write_at(std::uint64_t offset, ByteView bytes);
  // SHA-1 and size of what the first node has, read back.
  struct Proof {
    codec::Sha1 checksum;
    std::uint64_t size = 0;
  };
  Proof read_back();
  // Its right size, owner, mode and time. The bytes are durable only after a sync of the file
  // system.
  void finish();

 private:
  // A node whose file is made at the end, out of that of another.
  struct Clone {
    std::size_t node;
    std::size_t output;
  };
  enum class Way { create, zeros, reopen };
  OutputFile(const Nodes& nodes, std::uint32_t file, NodeMask wanted, Way way);
  void set_metadata(int fd, const std::filesystem::path& path) const;

  const Nodes* nodes_;
  const repository::ManifestFile* file_;
  std::vector<Output> outputs_;
  std::vector<Clone> clones_;
  std::uint64_t unsynced_from_ = 0;  // where write-back has not been started yet
};

// The end of a simple pipeline: writes a plain stream to a file and proves it.
class ProvingSink : public Sink {
 public:
  ProvingSink(OutputFile& output, const repository::ManifestFile& file,
              std::function<void(std::uint64_t)> written);

  void write(ByteView bytes) override;
  // Throws Error{corrupt} unless all of the file came and its SHA-1 is the manifest's.
  void finish() override;

 private:
  OutputFile& output_;
  const repository::ManifestFile& file_;
  std::function<void(std::uint64_t)> written_;
  codec::Sha1Hasher hasher_;
  std::uint64_t size_ = 0;
};

// Throws Error{corrupt} unless `more` bytes behind the first `size` still fit into the file: a
// lying manifest or a damaged stream must not fill the disk.
void check_fits(const repository::ManifestFile& file, std::uint64_t size, std::uint64_t more);

// Error{corrupt} unless both are what the manifest says.
void prove(const repository::ManifestFile& file, const OutputFile::Proof& proof);

}  // namespace pgrevive::restore
