#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/collations.h"

// How the indexes of one database become right again, and in which order. Pure.
namespace pgrevive::cluster {

struct RepairStep {
  enum class Kind {
    drop_leftover,  // what an interrupted REINDEX CONCURRENTLY left behind
    reindex,
    refresh,  // from here on the server takes the host's version for the one indexes were built by
  } kind = Kind::reindex;
  std::string object;  // for people
  std::string statement;
  std::vector<Oid> collations;  // that the index needs; that is refreshed
};

// A version is refreshed after the last index that needs it was rebuilt: before, a repair that is
// cut off would leave an index that is in the wrong order and that nobody can tell. It is not put
// off further either, so that a repeated repair need not begin anew. Those that no index needs come
// last, in one step. `server_version` is 150018 for 15.18.
std::vector<RepairStep> plan_repair(const DatabaseFindings& database, int server_version);

// Does the steps in order. `run` throws Error for one that fails; its words are in the result, and
// no version that a failed index needs is refreshed. Passes Error{cancelled} on.
std::vector<std::string> follow_plan(const std::vector<RepairStep>& steps,
                                     const std::function<void(const RepairStep&)>& run);

}  // namespace pgrevive::cluster
