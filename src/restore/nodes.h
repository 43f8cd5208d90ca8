#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "codec/hash.h"
#include "repository/manifest.h"
#include "restore/owners.h"
#include "restore/plan.h"
#include "restore/target.h"
#include "restore/tree.h"

namespace pgrevive::restore {

// Until a restore is whole its pg_control has this name, so that no server starts on it.
inline constexpr std::string_view kControlFile = "global/pg_control";
inline constexpr std::string_view kUnpublishedControlFile = "global/pg_control.pgrevive.tmp";

// The open directories of one node, by root of the Layout.
struct Node {
  const NodeLayout* layout = nullptr;
  std::vector<Tree> roots;
};

// Everything a worker needs to write a file. Immutable while workers run.
struct Nodes {
  const repository::Manifest& manifest;
  const Layout& layout;
  const Owners& owners;
  std::vector<Node> nodes;

  // Where a file is written: its own place, but for pg_control.
  Place write_place(const repository::ManifestFile& file) const;
  NodeMask all() const { return static_cast<NodeMask>((std::uint64_t{1} << nodes.size()) - 1); }
};

// Gives an open file or directory its owner and mode, in as few calls as that takes.
void set_owner_and_mode(int fd, const std::optional<Ids>& owner, mode_t mode,
                        const std::filesystem::path& path_for_messages);
void set_modified(int fd, std::int64_t seconds, const std::filesystem::path& path_for_messages);

// One file of the manifest under its name on each node that wants it. Every byte given is written
// to all of them. Used by one thread at a time.
class OutputFile {
 public:
  // Makes it anew: what had its name is gone.
  static OutputFile create(const Nodes& nodes, std::uint32_t file, NodeMask wanted);
  // Opens one that create() made.
  static OutputFile reopen(const Nodes& nodes, std::uint32_t file, NodeMask wanted);

  void write_at(std::uint64_t offset, ByteView bytes);
  // SHA-1 and size of what the first node has, read back.
  struct Proof {
    codec::Sha1 checksum;
    std::uint64_t size = 0;
  };
  Proof read_back();
  // Owner, mode and time. The bytes are durable only after a sync of the file system.
  void finish();

 private:
  struct Output {
    Fd fd;
    std::filesystem::path path;
  };
  OutputFile(const Nodes& nodes, std::uint32_t file, NodeMask wanted, bool make);

  const Nodes& nodes_;
  const repository::ManifestFile& file_;
  std::vector<Output> outputs_;
  std::uint64_t unsynced_from_ = 0;  // where write-back has not been started yet
};

// The end of a pipeline: writes a plain stream to a file and proves it.
class ProvingSink : public Sink {
 public:
  ProvingSink(OutputFile& output, const repository::ManifestFile& file,
              std::function<void(std::uint64_t)> written);

  void write(ByteView bytes) override;
  // Throws Error{corrupt} unless all of the file came and its SHA-1 is the manifest's.
  void finish() override;

 private:
  void flush();

  OutputFile& output_;
  const repository::ManifestFile& file_;
  std::function<void(std::uint64_t)> written_;
  codec::Sha1Hasher hasher_;
  Bytes buffer_;
  std::uint64_t size_ = 0;
  std::uint64_t flushed_ = 0;
};

// Error{corrupt} unless both are what the manifest says.
void prove(const repository::ManifestFile& file, const OutputFile::Proof& proof);

}  // namespace pgrevive::restore
