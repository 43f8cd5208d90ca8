#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "repository/backup_info.h"
#include "storage/storage.h"

// How fast a storage is, by reading a little of it.
namespace pgrevive::cluster {

// The median of a few requests for the size of that object, one after the other.
std::chrono::microseconds measure_round_trip(const storage::Storage& storage,
                                             const std::string& object);

struct Sample {
  std::string object;
  std::uint64_t bytes = 0;  // that arrived
  std::chrono::microseconds time{0};
  unsigned requests = 0;  // at a time

  double bytes_per_second() const;
};

// Reads at most `most` bytes of the largest object that a short search finds in the backup, by
// ranges, several at a time as a restore does, and for no longer than `limit`. Empty where there is
// no object.
std::optional<Sample> measure_throughput(const storage::Storage& storage, const std::string& stanza,
                                         const repository::Backup& backup, std::uint64_t most,
                                         std::chrono::milliseconds limit);

}  // namespace pgrevive::cluster
