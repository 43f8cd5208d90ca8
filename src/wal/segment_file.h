#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "codec/sink.h"
#include "postgres/version.h"
#include "postgres/wal_name.h"
#include "repository/repository.h"

namespace pgrevive::wal {

// A file that is nothing until publish() gives it its name; destroyed before that, it is removed.
// Used by one thread at a time.
class WalFile : public Sink {
 public:
  // Replaces what lies at `temporary`: it was left by a run that was killed, or by one that lives
  // on although nobody waits for it any more, which then cannot publish it.
  explicit WalFile(std::filesystem::path temporary);
  WalFile(const WalFile&) = delete;
  WalFile& operator=(const WalFile&) = delete;
  ~WalFile() override;

  void write(ByteView bytes) override;
  void finish() override;
  // So that it is there after a crash of the machine. PostgreSQL syncs what it keeps of a restored
  // segment when it renames it, but a history file it may never sync; and the second sync of synced
  // bytes is free.
  void sync();
  // Shows what was written. The view ends with `look`.
  void show(const std::function<void(ByteView)>& look) const;
  // Replaces all that is from there on by zeros.
  void blank_from(std::uint64_t offset);
  // Has the system begin to write it out, so that PostgreSQL's sync has less to wait for.
  void start_sync();
  // By a rename, within one file system. Only after finish(). Throws Error{busy} where another
  // process has replaced the file.
  void publish(const std::filesystem::path& destination);

 private:
  bool is_ours() const;

  std::filesystem::path temporary_;
  Fd fd_;
  bool finished_ = false;
  bool published_ = false;
};

// The cluster a segment has to be of; 0 and empty: any.
struct ExpectedCluster {
  std::uint64_t system_id = 0;
  std::optional<postgres::Version> version;
};

// Passes a segment on and remembers what its first page says about itself.
class SegmentHead : public Sink {
 public:
  // `most` bytes are passed on, the size of the cluster's segments: a segment that decodes to more
  // is not one, and would fill the disk.
  SegmentHead(Sink& next, std::uint64_t most) : next_(next), most_(most) {}
  void write(ByteView bytes) override;  // throws Error{corrupt} above that
  void finish() override { next_.finish(); }

  // What the SHA-1 in its name cannot prove: that these bytes are what that name stands for. Throws
  // Error{corrupt} where the length, the version, the cluster, the segment size or the position in
  // the log is another, or the timeline is a later one: the segment in which a timeline begins has
  // pages of an older one in it.
  void check(const repository::ArchivedSegment& found, const postgres::WalSegment& segment,
             const ExpectedCluster& cluster) const;

 private:
  Sink& next_;
  std::uint64_t most_;
  Bytes head_;
  std::uint64_t size_ = 0;
};

}  // namespace pgrevive::wal
