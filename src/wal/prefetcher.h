#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "postgres/wal_name.h"
#include "repository/repository.h"
#include "wal/segment_file.h"

namespace pgrevive::wal {

struct PrefetchedNode {
  std::string name;  // for messages
  std::filesystem::path data_directory;
  // The fork file of a replica (wal::Fork). It is given nothing until that file is there, and then
  // only what the rule allows; once it is there, nodes without one have ended their recovery.
  std::filesystem::path fork;
};

struct PrefetchOptions {
  std::vector<PrefetchedNode> nodes;  // all of one cluster
  std::vector<const repository::WalArchive*> archives;
  std::string archive_name;  // spool::archive_named_by() the words that name them
  ExpectedCluster cluster;
  std::uint32_t segment_size = 16u << 20;
  // Where replay will begin, so that it need not be asked for; empty: fetching starts with the
  // first question.
  std::optional<postgres::WalSegment> from;
  std::uint64_t spool_bytes = std::uint64_t{1} << 30;  // in all spools together
  // What is free where a server lies; disk_space() if empty. As much as spool_bytes stays free:
  // with less nothing is fetched ahead and nothing kept.
  std::function<std::uint64_t(const std::filesystem::path&)> free_bytes;
  unsigned jobs = 4;           // segments on the way at once
  // Whatever may make a tablespace is left to archive-get, which has a guard (TablespaceGuard).
  bool guard_tablespaces = false;
  bool until_stopped = false;  // goes on when no server is in recovery; one may yet begin
  std::function<void(const std::string&)> log;  // called by any thread, one line at a time
};

// Fetches, decrypts and decompresses the segments that servers will ask for next, so that replay
// waits for the disk and not for the storage. Each segment is fetched once for all servers and laid
// into the spool of each (spool/spool.h), from where archive-get takes it.
//
// It only ever makes archive-get faster. It has no say in what is absent, forbidden or broken: what
// it cannot lay into a spool, for whatever reason, archive-get looks for itself.
class Prefetcher {
 public:
  // Makes the spools. Throws Error{busy} where one of the servers has a prefetcher already.
  explicit Prefetcher(PrefetchOptions options);
  ~Prefetcher();

  // Serves until `stop`, or (without until_stopped) until no server is in recovery any more.
  void run(const std::stop_token& stop);

  // How many segments were read from the archive, and how many files were made of them.
  struct Totals {
    std::uint64_t fetched = 0;
    std::uint64_t laid = 0;
    std::uint64_t taken = 0;
  };
  Totals totals() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace pgrevive::wal
