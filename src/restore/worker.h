#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "codec/sha1_lanes.h"
#include "restore/block_jobs.h"
#include "restore/file_stream.h"
#include "restore/pass.h"
#include "restore/write/write_queue.h"

namespace pgrevive::restore {

// One thread that decodes, proves and writes. It has several files on their way at a time: a block
// of each is decoded, all these blocks are hashed side by side, and then they are written while the
// next are decoded. Used by its thread, but for the constructor.
class Worker {
 public:
  struct Limits {
    std::size_t files = 16;        // on their way at a time
    std::size_t block = 1u << 20;  // how much of each
    unsigned writes = 32;          // under way at a time
  };

  Worker(const Pass& pass, Fetcher& fetcher, const BlockJobs& blocks, unsigned number,
         const Limits& limits);

  // Until there is no more to do. What it throws ends the restore.
  void run();

  // Begins the job of the plan whose bytes come as `delivery`.
  void begin(const Job& job, Delivery& delivery);
  void begin(std::unique_ptr<Activity> activity) { activities_.push_back(std::move(activity)); }

 private:
  // A run of files of which some are still to be begun.
  struct Run {
    const Job* job;
    std::shared_ptr<Delivery::Buffer> buffer;
    std::shared_ptr<Begun> task;
    std::uint32_t next = 0;
    std::shared_ptr<Rest> rest;
  };

  bool take_more();
  void begin_run(const Job& job, std::shared_ptr<Begun> task);
  void begin_next_of_run();
  void make_empty(const Job& job);
  bool step_activities();
  bool step_streams();
  void tell_if_due();
  template <typename Body>
  bool with_second_chance(FileStream& stream, const Body& body);

  const Pass& pass_;
  Fetcher& fetcher_;
  const BlockJobs& blocks_;
  const unsigned number_;
  const Limits limits_;
  const codec::Sha1Lanes lanes_;
  std::unique_ptr<WriteQueue> queue_;  // made by the thread that uses it
  std::list<std::unique_ptr<FileStream>> streams_;
  std::list<std::unique_ptr<Activity>> activities_;
  std::unique_ptr<Run> run_;
  std::chrono::steady_clock::time_point told_{};
};

}  // namespace pgrevive::restore
