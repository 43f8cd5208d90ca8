#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "codec/sink.h"

namespace pgrevive::storage {

// Bytes [offset, offset + length) of an object.
struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// How a storage is read fastest.
struct Advice {
  std::uint64_t request = 8u << 20;  // bytes to ask for at a time, where there is so much to read
  unsigned requests = 32;            // under way at a time
};

struct Entry {
  std::string name;        // the last part of its path
  bool directory = false;  // on S3: a common prefix
  std::uint64_t size = 0;  // of objects
  // When an object was last written, Unix seconds; 0: the storage does not say.
  std::int64_t modified = 0;
};

// A place that keeps a pgBackRest repository: a directory, or a bucket and a prefix in it. Paths
// are relative to it, '/'-separated, without a leading slash ("backup/main/backup.info").
// Read-only, because nothing in this program writes to a repository.
//
// Any thread may call any method at any time. Implementations retry what is worth retrying and
// throw Error{unavailable} when that ran out, so a caller never retries. Every Error names where
// the object lies in full (describe()), for S3 also the status and the S3 error code, with a
// remedy.
class Storage {
 public:
  virtual ~Storage() = default;

  // "s3://bucket/prefix/backup/main/backup.info" or an absolute path, for messages.
  virtual std::string describe(const std::string& path) const = 0;

  // The object's size; empty if it does not exist, which is an answer and not an error.
  virtual std::optional<std::uint64_t> stat(const std::string& path) const = 0;

  // What lies directly in `directory` ("" is the root), ordered by name. A directory that does not
  // exist is empty. Throws rather than returning part of a list.
  virtual std::vector<Entry> list(const std::string& directory) const = 0;

  // Writes the object, or the range of it, to `sink`; does not finish the sink. Throws
  // Error{not_found} if it is absent and Error{corrupt} if it ends before the range does.
  //
  // A retry resumes where the last attempt stopped: the sink sees every byte once, in order. What
  // the sink throws passes through, and ends the request. A stop request ends it, soon and with
  // Error{cancelled}, whatever it is waiting for.
  virtual void read(const std::string& path, std::optional<Range> range, Sink& sink,
                    std::stop_token stop = {}) const = 0;

  virtual Advice advice() const { return {}; }
};

// The whole object in memory; Error{corrupt} if it is larger than `limit`.
Bytes read_all(const Storage& storage, const std::string& path, std::size_t limit = 256u << 20);

}  // namespace pgrevive::storage
