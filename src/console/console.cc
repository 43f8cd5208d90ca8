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
// Of people who search logs at the same time; who asks beyond that tries again.
constexpr int kSearches = 4;
// With room for an action, a preview, a reading of the repository, and one that has just ended.
constexpr std::size_t kJobs = kSearches + 4;

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

// Of what is done by so many at a time. One is taken as long as what take() gave is held.
class Places {
 public:
  explicit Places(int free = 1) : free_(free) {}
  std::shared_ptr<void> take() {
    if (free_.fetch_sub(1) <= 0) {
      ++free_;
      return {};
    }
    return {this, [](Places* places) { ++places->free_; }};
  }

 private:
  std::atomic<int> free_;
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
http::ServerOptions options_of(const cluster::Settings& settings) {
  http::ServerOptions options{.address = settings.console_listen,
                              .port = settings.console_port,
                              .jobs = kJobs,
                              .refusal = [](int status, const std::string& reason) {
                                auto response = error_response(status, reason);
                                add_headers(response);
                                return response;
                              }};
  if (settings.containers) {
    options.address = "0.0.0.0";
    options.port = cluster::kContainerConsolePort;
  }
  return options;
}

std::int64_t age_ms(const View& view) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return now.count() - view.time_ms;
}

class Console {
 public:
  Console(const cluster::StateDirectory& directory, const cluster::Settings& settings)
      : directory_(directory),
        rules_{.hosts = {}, .token = cluster::console_token(directory)},
        server_(options_of(settings),
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
  // The last look; one that was too long ago is told as one that failed, for whoever comes now: a
  // look that hangs tells nothing by itself.
  std::shared_ptr<const View> view() {
    auto last = watcher_.view();
    if (!last->failure.empty() || age_ms(*last) < kStaleMs) return last;
    auto stale = std::make_shared<View>(*last);
    stale->failure = "the last look has not ended";
    return stale;
  }

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
    if (path == "/api/v1/status") return json_response(to_value(*view()));
    if (path == "/api/v1/history") return json_response(watcher_.history());
    if (path == "/api/v1/events")
      return {.type = "text/event-stream", .body = event_of(*view()), .stream = true};
    if (path == "/api/v1/openapi.json") return {.type = "application/json", .body = openapi_text()};
    if (path == "/api/v1/repository") return repository(request);
    if (path == "/api/v1/preview")
      return reading(previewing_, [this, request] {
        return preview(directory_, request, [this] { return may_read(); });
      });
    if (path == "/api/v1/logs") return lines(request);
    if (auto page = page_response(path)) return *std::move(page);
    return error_response(404, "there is nothing at " + path, "see /api/v1/openapi.json");
  }

  // Of the console itself; what it says of the cluster is for people.
  ServerResponse health() {
    const auto last = view();
    const bool fresh = age_ms(*last) < kStaleMs;
    auto response = json_response({{"status", fresh ? "ok" : "stale"},
                                   {"failure", last->failure},
                                   {"cluster_healthy", cluster::healthy(last->status)},
                                   {"phase", cluster::name(last->status.supervisor.phase)}});
    response.status = fresh ? 200 : 503;
    return response;
  }

  ServerResponse repository(const ServerRequest& request) {
    if (!request.parameter("fresh")) return json_response(to_value(*repository_.view()));
    return reading(rereading_, [this] { return json_response(to_value(*repository_.read())); });
  }

  // A search reads much, and masks all of it; the end of a log is there in a blink.
  ServerResponse lines(const ServerRequest& request) {
    if (request.parameter("search").value_or("").empty()) return logs(directory_, request);
    auto held = searching_.take();
    if (!held) return error_response(503, "too many search just now", "try again");
    return later(std::move(held), [this, request] { return logs(directory_, request); });
  }

  // What reads the repository for somebody. Of each kind one at a time, so that an action always
  // finds a thread.
  template <typename Work>
  ServerResponse reading(Places& place, Work work) {
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
  Places acting_;
  Places previewing_;
  Places rereading_;
  Places searching_{kSearches};
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
