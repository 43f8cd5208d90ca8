#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "repository/manifest.h"

namespace pgrevive::restore {

// Which nodes still need a file: bit i for node i. 0: it is right everywhere already.
using NodeMask = std::uint32_t;

// What a worker does with the stored bytes of a job.
enum class JobKind : std::uint8_t {
  range,  // they are the whole stored form of every file of the job, perhaps with holes between
  map,    // they are the block map of one large block-incremental file, whose blocks come after
  empty,  // there are none: the files are empty, or sparse and all zeros
};

// One unit of work: a byte range of one object and the files in it. A job of more than one file is
// a run of bundle members near enough to be one request.
struct Job {
  JobKind kind = JobKind::range;
  std::uint32_t first = 0;  // in Plan::files
  std::uint32_t count = 0;
  std::uint64_t offset = 0;  // in the object of the first file
  std::uint64_t length = 0;
};

// What is to be fetched, in the order in which it is worked on: single objects first, the largest
// before all others so that none of them is left alone at the end; then bundles; then empty files.
struct Plan {
  std::vector<std::uint32_t> files;  // indices into Manifest::files, those of a job side by side
  std::deque<Job> jobs;
  // Stored bytes the jobs fetch; 0 where block-incremental files make it unknown.
  std::uint64_t stored_bytes = 0;
};

struct PlanLimits {
  std::uint64_t piece = 8u << 20;  // no request is larger
  std::uint64_t gap = 64u << 10;   // unwanted bytes worth reading to save a request
  std::uint32_t empty_files = 256;
};

// `wanted` has a mask for each file of the manifest; of files that `zeroed` is true of nothing is
// fetched. Throws Error{corrupt} where a manifest's numbers cannot be.
Plan make_plan(const repository::Manifest& manifest, const std::vector<NodeMask>& wanted,
               const PlanLimits& limits,
               const std::function<bool(const repository::ManifestFile&)>& zeroed = {});

// About what a plan of all files and their masks take, bytes.
std::uint64_t plan_memory(const repository::Manifest& manifest);

}  // namespace pgrevive::restore
