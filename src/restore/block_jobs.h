#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "restore/activity.h"
#include "restore/block_file.h"
#include "restore/fetch.h"
#include "restore/pass.h"

// The jobs of block-incremental files: what their maps ask for is found out while they are worked
// on, and fetched by tasks of their own.
namespace pgrevive::restore {

// The super blocks that a job found to be needed from elsewhere, and the files they belong to.
struct Rest {
  std::vector<WantedSuperBlock> blocks;  // by place
  std::vector<SuperBlockRun> runs;
  std::vector<std::uint32_t> files;
  std::map<std::uint32_t, Count> counts;  // of each file
};

// Any thread may call anything.
class BlockJobs {
 public:
  // `start` is given what the worker of that number is to do.
  using Start = std::function<void(unsigned worker, std::unique_ptr<Activity> activity)>;

  BlockJobs(const Pass& pass, const PlanLimits& sizes, Fetcher& fetcher, Start start)
      : pass_(pass), sizes_(sizes), fetcher_(fetcher), start_(std::move(start)) {}

  // A file whose own stored bytes are all here: writes the blocks that are in them and leaves the
  // others to `rest`.
  void do_member(std::uint32_t index, ByteView stored, Rest& rest) const;
  // Makes a task of what is still needed, before all others, so that few files are half done at any
  // time. It is a task of its own because waiting for it here would leave this worker idle for a
  // whole round trip.
  void fetch_rest(std::shared_ptr<Rest> rest) const;
  // A large file: its map comes as the task's bytes, all its super blocks are still to be fetched.
  std::unique_ptr<Activity> map(std::uint32_t index, std::shared_ptr<Begun> task) const;

 private:
  class MapActivity;
  class RestActivity;
  Bytes decode(const WantedSuperBlock& block, ByteView stored) const;

  const Pass& pass_;
  const PlanLimits sizes_;
  Fetcher& fetcher_;
  const Start start_;
};

}  // namespace pgrevive::restore
