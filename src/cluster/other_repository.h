#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/findings.h"
#include "repository/open.h"

namespace pgrevive::cluster {

// A repository of a configuration that has several.
struct NamedRepository {
  std::string name;  // "repo2"
  repository::RepositoryOptions options;
};

// The newest that a repository has of one PostgreSQL cluster.
struct NewestOfRepository {
  std::string wal;                  // segment name; empty: none
  std::string backup;               // label; empty: none
  std::int64_t backup_stopped = 0;  // Unix seconds
};

// A warning where the other has what `used`, which the cluster is made of, has not.
Finding judge_other(const std::string& used_name, const NewestOfRepository& used,
                    const std::string& other_name, const NewestOfRepository& other);

// The same by a look into the archive and backup.info of both, a finding for each of the others, by
// its name. One that cannot be read is a warning as well: nothing is known of it.
std::vector<Finding> examine_others(const NamedRepository& used,
                                    const std::vector<NamedRepository>& others);

}  // namespace pgrevive::cluster
