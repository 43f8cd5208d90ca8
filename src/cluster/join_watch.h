#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

#include <sys/types.h>

#include "postgres/lsn.h"

namespace pgrevive::cluster {

// What one look saw of a replica that is to stream from its primary.
struct JoinSight {
  pid_t server = 0;
  postgres::Timeline timeline;  // of its pg_control's checkpoint
  postgres::Lsn reached;        // it has replayed that much, as its pg_control and its primary know
  std::string last_delivered;   // by archive-get, since it was started
  // Of its primary, asked after all of the above.
  std::optional<postgres::Timeline> primary_timeline;  // empty: it could not be asked
  postgres::Lsn primary_end;                           // as far as it has written
  // The segment that the replica, which is not connected, has asked an archive for in vain and that
  // its primary, which has written it, does not keep; empty: there is none.
  std::string nowhere;
};

// Why the replica can never stream: it is past the primary's end, or on a later timeline. Such a
// one only tries again, for ever, and where the primary's WAL has grown past that point might even
// go on with another's data. Empty: nothing says so. Pure.
std::optional<std::string> off_the_line(const JoinSight& sight);

// Notices a replica that asks for what nobody has: one segment, all the time. A look may come just
// between the primary's archiver and its next checkpoint. No clock in here.
class LostWatch {
 public:
  explicit LostWatch(std::chrono::milliseconds limit) : limit_(limit) {}

  // Whether it has been so for as long as the limit, given what was seen at `now`.
  bool lost(const JoinSight& sight, std::chrono::steady_clock::time_point now);

 private:
  std::chrono::milliseconds limit_;
  std::string nowhere_;
  std::chrono::steady_clock::time_point since_;
};

// Notices a replica that gets nowhere. That it connects and is sent away, or is given the same file
// once more, is no movement. No clock in here.
class JoinWatch {
 public:
  explicit JoinWatch(std::chrono::milliseconds limit) : limit_(limit) {}

  // Whether nothing has moved for as long as the limit, given what was seen at `now`.
  bool stuck(const JoinSight& sight, std::chrono::steady_clock::time_point now);

 private:
  std::chrono::milliseconds limit_;
  std::optional<JoinSight> farthest_;
  std::set<std::string> delivered_;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace pgrevive::cluster
