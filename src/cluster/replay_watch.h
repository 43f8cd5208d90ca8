#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <sys/types.h>

#include "postgres/lsn.h"

namespace pgrevive::cluster {

// What one look saw of a server that replays an archive, as far as it shows movement.
struct ReplaySight {
  pid_t server = 0;
  bool accepting = false;
  postgres::Lsn replayed;             // as the server says, where it answers
  postgres::Lsn checkpoint, minimum;  // as its pg_control says
  std::int64_t delivered_count = 0;   // by archive-get, since the server was started
  std::string last_delivered;

  bool operator==(const ReplaySight&) const = default;
};

// Notices a standby that will never get further. A record that is no WAL, in a segment that arrived
// whole, does not end a standby: it asks for the same segments again, twice a second, for ever.
// Replay that is only slow asks for nothing meanwhile, and one that begins anew, in another process
// or after a crash, shows it. No clock in here.
class ReplayWatch {
 public:
  // `limit`: how long it may go on; at least kDeliveries files have to arrive in that time.
  explicit ReplayWatch(std::chrono::milliseconds limit) : limit_(limit) {}

  // Whether replay is stuck, given what was seen at `now`.
  bool stuck(const ReplaySight& sight, std::chrono::steady_clock::time_point now);

  static constexpr std::int64_t kDeliveries = 8;

 private:
  void begin(const ReplaySight& sight, std::chrono::steady_clock::time_point now);

  std::chrono::milliseconds limit_;
  std::optional<ReplaySight> first_;  // of the time without movement
  std::chrono::steady_clock::time_point since_;
  std::set<std::string> delivered_;  // in that time: a record may lie in several segments
};

}  // namespace pgrevive::cluster
