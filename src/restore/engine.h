#pragma once

#include <stop_token>
#include <vector>

#include "repository/repository.h"
#include "restore/nodes.h"
#include "restore/plan.h"
#include "restore/report.h"

namespace pgrevive::restore {

struct EngineLimits {
  unsigned jobs = 1;
  unsigned requests = 32;
  std::uint64_t memory = 256u << 20;

  PlanLimits plan() const;  // the requests that fit this memory
};

// Fetches, decodes, proves and writes every file of `plan` on the nodes that want it. Throws the
// first failure; what is complete by then stays. Bytes that do not check out are fetched once more
// before that is a failure.
//
// Memory: what is fetched and not yet decoded is bounded by `limits.memory`; beside it a worker
// holds 256 KiB of a plain file, or one plain super block.
void run_plan(const repository::Repository& repository, const Nodes& nodes, const Plan& plan,
              const std::vector<NodeMask>& wanted, const EngineLimits& limits, Report& report,
              std::stop_token stop);

}  // namespace pgrevive::restore
