#include "console/console.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cluster/console_process.h"
#include "http/client.h"

namespace pgrevive::cli {
namespace {

Error no_console() {
  return Error(ErrorKind::not_found, "this cluster has no console")
      .with_hint("set CONSOLE_PORT in .env, then `restart`");
}

}  // namespace

// What the page shows and more, as JSON, of the one who keeps looking: rates and times that are
// left, and the lag of the last day, are known to nobody else.
int get_from_console(const std::string& url, const std::string& path) {
  // A preview that looks for its target takes five minutes at most there.
  const http::Client client({.no_proxy = true, .stall_timeout = std::chrono::minutes(6)});
  const auto begin = std::min(path.find_first_not_of('/'), path.size());  // the URL ends with one
  const auto response = client.perform(
      {.url = url + path.substr(begin), .headers = {{.name = "X-Pgrevive", .value = "1"}}},
      [](const http::Response&, ByteView bytes) { out("{}", as_text(bytes)); });
  if (response.failure)
    throw Error(ErrorKind::unavailable, "the console does not answer: " + response.failure->text)
        .with_hint("it runs while the cluster does; its log is console.log");
  return response.status == 200 ? 0 : 1;
}

void add_console(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("console", "Say where the cluster's page is, or its token");
  auto token = std::make_shared<bool>(false);
  command->add_flag("--token", *token, "Print the token that changes need");
  auto get = std::make_shared<std::string>();
  command
      ->add_option("--get", *get,
                   "Print what the console answers there: api/v1/status (rates and times that are "
                   "left too), api/v1/history, api/v1/repository, api/v1/logs, metrics, ...")
      ->type_name("PATH");
  command->add_flag("--json", parser.json, "Errors as JSON too; what --get prints is JSON anyway");
  command->footer(
      "The page, /metrics for Prometheus and /api/v1/openapi.json are served by the cluster "
      "itself,\n"
      "on CONSOLE_PORT of CONSOLE_LISTEN.\n\n"
      "Examples:\n  pgrevive console\n  pgrevive console --token\n"
      "  pgrevive console --get api/v1/status\n"
      "  pgrevive console --get 'api/v1/logs?of=primary&search=error'");
  command->callback([&parser, token, get] {
    parser.work = [&parser, token, get] {
      const cluster::StateDirectory directory = existing_state_directory(parser.global);
      if (*token) {
        const auto secret = cluster::read_console_token(directory);
        if (!secret) throw no_console();
        out("{}\n", secret->reveal());
        return 0;
      }
      const std::string url =
          cluster::console_url(cluster::from_json(read_file(directory.settings())));
      if (url.empty()) throw no_console();
      const bool runs = cluster::find_side_process(cluster::console_program(directory)).has_value();
      if (!get->empty()) {
        // On its port another cluster's may listen.
        if (!runs)
          throw Error(ErrorKind::unavailable, "this cluster's console does not run")
              .with_hint("it runs while the cluster does; its log is console.log");
        return get_from_console(url, *get);
      }
      out("{}{}\n", url, runs ? "" : "  (does not run)");
      return runs ? 0 : 1;
    };
  });
}

void add_serve_console(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("serve-console", "");
  command->group("");  // not for people: the supervisor calls it
  auto root = std::make_shared<std::filesystem::path>();
  command->add_option("STATE_DIRECTORY", *root)->required();
  command->callback([&parser, root] {
    parser.work = [root] {
      const StopOnSignal stop;
      console::serve(cluster::StateDirectory(*root), stop.token());
      return 0;
    };
  });
}

}  // namespace pgrevive::cli
