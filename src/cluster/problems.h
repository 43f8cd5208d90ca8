#pragma once

#include <map>
#include <string>
#include <vector>

#include "cluster/cluster.h"

namespace pgrevive::cluster {

// Something about a cluster that a person should see to, or know.
struct Problem {
  std::string id;       // for programs and translations: "node_down", "archiving", ...
  std::string subject;  // a node; else empty
  bool grave = true;    // the cluster is not as it should be; false: it may come to that
  std::string text;     // one sentence without a full stop
  std::string remedy;   // another; empty: there is nothing to do but wait
  // What the text has beside its words, for who says it in another language: "state", "free_bytes",
  // "error" (in English, as somebody else said it).
  std::map<std::string, std::string> values = {};
};

// Whether servers run that nobody looks after: what a supervisor leaves that was killed; with
// RUNTIME=docker, a primary's container that was stopped. Pure.
bool serves_unattended(const ClusterStatus& status);

// In order of weight. A cluster that is still being brought up has only the problems that it is not
// at work on itself. Pure.
std::vector<Problem> find_problems(const ClusterStatus& status);

// Whether everything is as it should be: supervisor running, every node accepting, every replica
// streaming, archiving without trouble.
bool healthy(const ClusterStatus& status);

}  // namespace pgrevive::cluster
