#include "cluster/request.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/cluster.h"
#include "cluster/identity_scope.h"
#include "cluster/marker.h"
#include "cluster/status_board.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Act, std::string_view>, 3> kActs{
    {{Act::restart, "restart"}, {Act::rebuild, "rebuild"}, {Act::switchover, "switchover"}}};

// How long a supervisor may take to notice a request: it looks twice a second.
constexpr std::chrono::seconds kNoticeLimit{30};
constexpr std::chrono::seconds kGrace{5};

void check_can_be_asked(const StateDirectory& directory, Act act, const std::string& node) {
  check_fits(from_json(read_file(directory.settings())), act, node);
  const auto status = read_status(directory);
  if (!status || !find_supervisor(directory))
    throw Error(ErrorKind::not_found, "nobody looks after this cluster, so nobody can be asked")
        .with_hint("`start` it first");
  if (status->phase != Phase::running && status->phase != Phase::failed)
    throw Error(ErrorKind::busy, fmt::format("the cluster is at work ({})", name(status->phase)))
        .with_hint("wait until it runs");
}

// Who leaves a request, takes it or takes it back, one at a time: what was read has to be what is
// removed.
class OneAtATime {
 public:
  explicit OneAtATime(const StateDirectory& directory)
      : fd_(open_file(directory.run(), O_RDONLY | O_DIRECTORY)) {
    while (::flock(fd_.get(), LOCK_EX) != 0)
      if (errno != EINTR) throw system_error(errno, "cannot lock " + directory.run().string());
  }

 private:
  Fd fd_;  // the lock goes with it
};

void leave(const StateDirectory& directory, const Request& request) {
  const auto marker = load_marker(directory);
  const auto owner = Identity::find(marker.owner_name);
  if (!owner)
    throw Error(ErrorKind::not_found, "there is no user " + marker.owner_name + " on this host");
  const IdentityScope scope(*owner);
  auto temporary = directory.request();
  temporary += "." + request.id;
  write_file_atomic(temporary, json{{"id", request.id},
                                    {"act", name(request.act)},
                                    {"node", request.node},
                                    {"left_ms", request.left_ms}}
                                   .dump());
  const OneAtATime alone(directory);
  // Unlike a rename this does not replace the request of somebody else.
  const bool left = ::link(temporary.c_str(), directory.request().c_str()) == 0;
  ::unlink(temporary.c_str());
  if (!left)
    throw Error(ErrorKind::busy, "somebody else has just asked for something")
        .with_hint("wait until that is done");
}

// Takes it back at the end, if it is still there.
class LeftRequest {
 public:
  LeftRequest(const StateDirectory& directory, const Request& request)
      : directory_(directory), id_(request.id) {
    leave(directory, request);
  }
  ~LeftRequest() {
    try {
      take_back();
    } catch (const Error&) {
      // The cluster is gone, and the request with it.
    }
  }
  LeftRequest(const LeftRequest&) = delete;
  LeftRequest& operator=(const LeftRequest&) = delete;

  bool take_back() { return cluster::take_back(directory_, id_); }

 private:
  const StateDirectory& directory_;
  const std::string id_;
};

std::string text_of_request(const StateDirectory& directory) {
  try {
    return read_file_if_exists(directory.request()).value_or("");
  } catch (const Error&) {
    return {};
  }
}

std::optional<Request> parse_request(const std::string& text) {
  try {
    const auto j = json::parse(text);
    const auto act = parse_act(j.at("act").get<std::string>());
    if (!act) return {};
    return Request{.id = j.at("id").get<std::string>(),
                   .act = *act,
                   .node = j.at("node").get<std::string>(),
                   .left_ms = j.at("left_ms").get<std::int64_t>()};
  } catch (const json::exception&) {
    return {};
  }
}

}  // namespace

std::string_view name(Act act) {
  for (const auto& [known, text] : kActs)
    if (known == act) return text;
  throw Error(ErrorKind::internal, "an act has no name");
}

std::optional<Act> parse_act(std::string_view text) {
  for (const auto& [known, name] : kActs)
    if (name == text) return known;
  return {};
}

json to_value(const RequestReport& report) {
  return {{"id", report.id},
          {"act", report.act},
          {"node", report.node},
          {"state", report.state},
          {"error", report.error},
          {"began_ms", report.began_ms},
          {"ended_ms", report.ended_ms}};
}

RequestReport request_report_from(const json& j) {
  return {.id = j.at("id").get<std::string>(),
          .act = j.at("act").get<std::string>(),
          .node = j.at("node").get<std::string>(),
          .state = j.at("state").get<std::string>(),
          .error = j.at("error").get<std::string>(),
          .began_ms = j.at("began_ms").get<std::int64_t>(),
          .ended_ms = j.at("ended_ms").get<std::int64_t>()};
}

void check_fits(const Settings& settings, Act act, const std::string& node) {
  const auto nodes = node_names(settings.replicas);
  if (std::ranges::find(nodes, node) == nodes.end())
    throw Error(ErrorKind::usage, fmt::format("there is no node '{}'", node))
        .with_hint(fmt::format("it is one of {}", fmt::join(nodes, ", ")));
  if (act != Act::restart && node == "primary")
    throw Error(ErrorKind::usage, fmt::format("{} is for a replica", name(act)))
        .with_hint("name the replica");
}

RequestReport ask(const StateDirectory& directory, Act act, const std::string& node,
                  const std::function<bool()>& going_on) {
  check_can_be_asked(directory, act, node);
  const auto now = unix_milliseconds();
  const Request request{
      .id = fmt::format("{}-{}", now, ::getpid()), .act = act, .node = node, .left_ms = now};
  LeftRequest left_request(directory, request);
  const auto left = std::chrono::steady_clock::now();
  for (;;) {
    // Before what it has said is read: the last that it says may be why it ends.
    const bool lives = find_supervisor(directory).has_value();
    const auto status = read_status(directory);
    if (status && status->request && status->request->id == request.id) {
      const auto& report = *status->request;
      if (report.state == "done") return report;
      if (report.state == "failed") throw Error(ErrorKind::postgres, report.error);
    } else if (std::chrono::steady_clock::now() - left > kNoticeLimit && left_request.take_back()) {
      throw Error(ErrorKind::busy, "the supervisor does not take the request")
          .with_hint("its log is " + directory.supervisor_log().string());
    }
    if (!lives)
      throw Error(ErrorKind::postgres, "the supervisor ended meanwhile")
          .with_hint("its log is " + directory.supervisor_log().string() +
                     "; `start` brings the cluster up again");
    if (!going_on() && left_request.take_back())
      throw Error(ErrorKind::cancelled, fmt::format("{} of {} was not begun", name(act), node));
    if (!going_on())
      throw Error(ErrorKind::cancelled, fmt::format("{} of {} goes on", name(act), node))
          .with_hint("`status` says how it ends");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

std::optional<Request> take_request(const StateDirectory& directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory.request(), ignored)) return {};
  const OneAtATime alone(directory);
  const auto request = parse_request(text_of_request(directory));
  if (::unlink(directory.request().c_str()) != 0 || !request) return {};
  // Whoever asked has given up, or would have if they were still there.
  constexpr auto kLimit = std::chrono::milliseconds(kNoticeLimit + kGrace).count();
  const auto now = unix_milliseconds();
  if (request->left_ms < now - kLimit || request->left_ms > now + kLimit) return {};
  return request;
}

bool take_back(const StateDirectory& directory, const std::string& id) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory.request(), ignored)) return false;
  const OneAtATime alone(directory);
  const auto request = parse_request(text_of_request(directory));
  return request && request->id == id && ::unlink(directory.request().c_str()) == 0;
}

}  // namespace pgrevive::cluster
