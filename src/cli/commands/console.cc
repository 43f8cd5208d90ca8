#include "console/console.h"

#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cluster/console_process.h"

namespace pgrevive::cli {
namespace {

Error no_console() {
  return Error(ErrorKind::not_found, "this cluster has no console")
      .with_hint("set CONSOLE_PORT in .env, then `restart`");
}

}  // namespace

void add_console(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("console", "Say where the cluster's page is, or its token");
  auto token = std::make_shared<bool>(false);
  command->add_flag("--token", *token, "Print the token that changes need");
  command->footer(
      "The page, /metrics for Prometheus and /api/v1/openapi.json are served by the cluster "
      "itself,\n"
      "on CONSOLE_PORT of CONSOLE_LISTEN.\n\n"
      "Examples:\n  pgrevive console\n  pgrevive console --token");
  command->callback([&parser, token] {
    parser.work = [&parser, token] {
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
