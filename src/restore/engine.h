#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "repository/repository.h"
#include "restore/nodes.h"
#include "restore/options.h"
#include "restore/plan.h"
#include "restore/report.h"
#include "restore/worker.h"

namespace pgrevive::restore {

// How much of everything there is at a time.
struct EngineLimits {
  unsigned jobs = 1;                  // workers
  unsigned requests = 32;             // under way at a time
  std::uint64_t memory = 256u << 20;  // for all that is on its way
  std::uint64_t piece = 8u << 20;     // no request is larger

  // What follows from these for one kind of backup: the memory is divided between what has been
  // fetched and what is being decoded and written.
  struct Shares {
    Worker::Limits worker;
    std::uint64_t stored = 0;  // memory for what has been fetched
    PlanLimits plan;
  };
  Shares shares(codec::CompressType type) const;
};

// What `options.memory` leaves for what is on its way when the manifest and the plan are in it, but
// never less than a quarter: very many files make a restore slower before they make it larger.
EngineLimits limits_of(const Options& options, const repository::Manifest& manifest,
                       const storage::Advice& advice);

// Fetches, decodes, proves and writes every file of `plan` on the nodes that want it. Throws the
// first failure; what is complete by then stays. Bytes that do not check out are fetched once more
// before that is a failure.
//
// Memory: `limits.memory` bounds what has been fetched, what decoders need, and the plain bytes
// that are not yet written; only super blocks come on top, one plain one for each worker.
void run_plan(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
              const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
              std::stop_token stop);

}  // namespace pgrevive::restore
