#include "console/console.h"

#include <atomic>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/file.h"
#include "cluster/console_process.h"
#include "cluster/problems.h"
#include "console/actions.h"
#include "console/guard.h"
#include "console/logs.h"
#include "console/metrics.h"
#include "console/page.h"
#include "console/watcher.h"

namespace pgrevive::console {
namespace {

using cluster::Phase;
using http::ServerRequest;
using http::ServerResponse;
using nlohmann::json;

constexpr std::int64_t kStaleMs = 30'000;

ServerResponse json_response(const json& value) {
  return {.type = "application/json",
          .body = value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

// JSON has no line breaks in it but escaped ones, so a look is one line of an event.
std::string event_of(const View& view) {
  return "event: status\ndata: " +
         to_value(view).dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
}

// Nothing of ours is put into a page of somebody else, and nothing of somebody else's into ours.
void add_headers(ServerResponse& response) {
  response.headers.push_back({"Cache-Control", "no-store"});
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.headers.push_back({"Referrer-Policy", "no-referrer"});
  response.headers.push_back({"Cross-Origin-Resource-Policy", "same-origin"});
  response.headers.push_back({"Content-Security-Policy",
                              "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
                              "'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                              "frame-ancestors 'none'"});
}

// Of what is done by one at a time. The place is taken as long as what take() gave is held.
class Place {
 public:
  std::shared_ptr<void> take() {
    if (taken_.exchange(true)) return {};
    return {this, [](Place* place) { place->taken_ = false; }};
  }

 private:
  std::atomic<bool> taken_ = false;
};

// What takes longer, for which `held` is given back before anybody hears that it is done.
template <typename Work>
ServerResponse later(std::shared_ptr<void> held, Work work) {
  return {.later = [held = std::move(held), work = std::move(work)]() mutable {
    auto response = work();
    held.reset();
    return response;
  }};
}

// In its container: who may reach that, Docker says.
http::ServerOptions place_of(const cluster::Settings& settings) {
  if (settings.containers) return {.address = "0.0.0.0", .port = cluster::kContainerConsolePort};
  return {.address = settings.console_listen, .port = settings.console_port};
}

class Console {
 public:
  Console(const cluster::StateDirectory& directory, const cluster::Settings& settings)
      : directory_(directory),
        rules_{.hosts = {}, .token = cluster::console_token(directory)},
        server_(place_of(settings),
                [this](const ServerRequest& request) { return answer(request); }),
        watcher_(directory, {.somebody_watches = [this] { return server_.listeners() > 0; },
                             .looked =
                                 [this](const View& view) {
                                   if (server_.listeners() > 0) server_.publish(event_of(view));
                                 }}),
        repository_(directory, [this] { return may_read(); }) {}

  void run(const std::stop_token& stop) {
    server_.run(stop);
    watcher_.keep_history();
  }

 private:
  bool may_read() {
    const auto view = watcher_.view();
    const auto phase = view->status.supervisor.phase;
    return !view->status.supervisor_running || phase == Phase::running || phase == Phase::failed;
  }

  ServerResponse answer(const ServerRequest& request) {
    auto response = [&]() -> ServerResponse {
      read_hosts();
      if (auto refused = refusal(request, rules_)) return *std::move(refused);
      return request.method == "POST" ? change(request) : look(request);
    }();
    if (response.later) {
      response.later = [work = std::move(response.later)] {
        auto late = work();
        add_headers(late);
        return late;
      };
    }
    add_headers(response);
    return response;
  }

  // .env may name others than it did: in its container the console outlives a restart.
  void read_hosts() {
    std::error_code error;
    const auto written = std::filesystem::last_write_time(directory_.settings(), error);
    if (error || written == settings_written_) return;
    try {
      rules_.hosts = cluster::from_json(read_file(directory_.settings())).console_hosts;
      settings_written_ = written;
    } catch (const Error&) {
      // They are being written, or thrown away.
    }
  }

  ServerResponse look(const ServerRequest& request) {
    const auto& path = request.path;
    if (path == "/healthz") return health();
    if (path == "/metrics")
      return {.type = "text/plain; version=0.0.4; charset=utf-8",
              .body = metrics_text(*watcher_.view(), *repository_.view())};
    if (path == "/api/v1/status") return json_response(to_value(*watcher_.view()));
    if (path == "/api/v1/history") return json_response(watcher_.history());
    if (path == "/api/v1/events")
      return {.type = "text/event-stream", .body = event_of(*watcher_.view()), .stream = true};
    if (path == "/api/v1/openapi.json") return {.type = "application/json", .body = openapi_text()};
    if (path == "/api/v1/repository") return repository(request);
    if (path == "/api/v1/preview")
      return reading(previewing_, [this, request] {
        return preview(directory_, request, [this] { return may_read(); });
      });
    if (path == "/api/v1/logs") return logs(directory_, request);
    if (auto page = page_response(path)) return *std::move(page);
    return error_response(404, "there is nothing at " + path, "see /api/v1/openapi.json");
  }

  // Of the console itself; what it says of the cluster is for people.
  ServerResponse health() {
    const auto view = watcher_.view();
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const bool fresh = now - view->time_ms < kStaleMs;
    auto response = json_response({{"status", fresh ? "ok" : "stale"},
                                   {"failure", view->failure},
                                   {"cluster_healthy", cluster::healthy(view->status)},
                                   {"phase", cluster::name(view->status.supervisor.phase)}});
    response.status = fresh ? 200 : 503;
    return response;
  }

  ServerResponse repository(const ServerRequest& request) {
    if (!request.parameter("fresh")) return json_response(to_value(*repository_.view()));
    return reading(rereading_, [this] { return json_response(to_value(*repository_.read())); });
  }

  // What reads the repository for somebody. Of each kind one at a time, so that an action always
  // finds a thread.
  template <typename Work>
  ServerResponse reading(Place& place, Work work) {
    if (!may_read())
      return error_response(503, "the cluster is being brought up, which needs the repository more",
                            "ask again when it runs");
    auto held = place.take();
    if (!held) return error_response(503, "somebody else asks that just now", "try again");
    return later(std::move(held), std::move(work));
  }

  ServerResponse change(const ServerRequest& request) {
    constexpr std::string_view kActions = "/api/v1/actions/";
    if (!request.path.starts_with(kActions) || !is_action(request.path.substr(kActions.size())))
      return error_response(404, "there is no such action", "see /api/v1/openapi.json");
    auto held = acting_.take();
    if (!held) return error_response(409, "another action is under way");
    return later(std::move(held), [this, request, name = request.path.substr(kActions.size())] {
      return act(directory_, name, request);
    });
  }

  cluster::StateDirectory directory_;
  GuardRules rules_;
  std::filesystem::file_time_type settings_written_{};
  Place acting_;
  Place previewing_;
  Place rereading_;
  http::Server server_;
  Watcher watcher_;
  RepositoryWatcher repository_;
};

}  // namespace

void serve(const cluster::StateDirectory& directory, const std::stop_token& stop) {
  const auto settings = cluster::from_json(read_file(directory.settings()));
  Console console(directory, settings);
  console.run(stop);
  // A preview or a test may take longer than whoever stops us waits, and nothing has to be put in
  // order: all that changes a cluster is a process of its own.
  ::_exit(0);
}

}  // namespace pgrevive::console
