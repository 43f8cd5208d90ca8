#pragma once

#include <chrono>
#include <vector>

#include "cluster/doctor.h"
#include "storage/s3/probe.h"
#include "storage/s3/s3.h"

namespace pgrevive::cluster {

// The way to a bucket, stage by stage, as one look at it went. What comes after the stage that
// turned it away is not run. Pure.
std::vector<Finding> judge_way(const storage::S3Options& options, const storage::s3::Probe& probe,
                               std::chrono::system_clock::time_point now);

// The same lines for a repository that has no such way.
std::vector<Finding> no_way(const std::string& why);

}  // namespace pgrevive::cluster
