#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "cluster/settings.h"
#include "cluster/state_directory.h"

namespace pgrevive::cluster {

// What a person asks the supervisor of a running cluster to do with one node. The supervisor alone
// changes the cluster, so the one who asks leaves a file (run/request.json), and finds in the status
// what became of it.
enum class Act {
  restart,     // its server, with the configuration as it is
  rebuild,     // a replica: its data is thrown away and made anew
  switchover,  // the replica and the primary change places
};
std::string_view name(Act act);
std::optional<Act> parse_act(std::string_view text);

struct Request {
  std::string id;
  Act act = Act::restart;
  std::string node;
  std::int64_t left_ms = 0;  // when it was left, in Unix time
};

// How a request goes on, as a part of the status.
struct RequestReport {
  std::string id;
  std::string act;
  std::string node;
  std::string state;  // "working", "done", "failed"
  std::string error;  // Error::text() of one that failed
  std::int64_t began_ms = 0;
  std::int64_t ended_ms = 0;  // 0: it goes on
};
nlohmann::json to_value(const RequestReport& report);
RequestReport request_report_from(const nlohmann::json& j);

// Throws Error{usage} where that node is not there, or the act is not for it. Pure.
void check_fits(const Settings& settings, Act act, const std::string& node);

// Leaves the request and waits until it is done, as long as `going_on` says yes; then it throws
// Error{cancelled} and the supervisor goes on. What nobody has taken by then is taken back, whatever
// the reason: a later supervisor must not find it. Throws Error{usage} for a node that this cannot be
// done with, Error{busy} where another request is under way or the cluster is being brought up, and
// Error{postgres} with what went wrong.
RequestReport ask(const StateDirectory& directory, Act act, const std::string& node,
                  const std::function<bool()>& going_on);

// The supervisor's side: what was left for it, once. What cannot be read is thrown away, and what
// was left longer ago than whoever asks waits for it: they were killed. One that starts throws away what it finds: that was meant for the one before, at another time.
std::optional<Request> take_request(const StateDirectory& directory);
// Removes the request of that id, and no other. Whether it did, so that nobody takes it any more.
bool take_back(const StateDirectory& directory, const std::string& id);

}  // namespace pgrevive::cluster
