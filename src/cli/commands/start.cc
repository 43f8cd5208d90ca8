#include <fmt/format.h>

#include "base/error.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/print.h"

namespace pgrevive::cli {
namespace {

int run_start(const GlobalOptions& global, bool detach) {
  std::vector<std::string> warnings;
  const cluster::Settings settings = chosen_settings(global, warnings);
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  return launch_and_follow(settings, chosen_state_directory(global), detach);
}

constexpr const char* kStopSeconds = "Seconds to wait for the servers to end (default 120)";

void stop_cluster(const cluster::StateDirectory& directory, int seconds) {
  const bool ran = cluster::stop(directory, std::chrono::seconds(seconds));
  out("{}\n", ran ? "stopped" : "nothing was running");
}

}  // namespace

void add_start(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "start", "Bring the cluster up: restore what is empty, start what is there");
  auto detach = std::make_shared<bool>(false);
  command->add_flag("-d,--detach", *detach, "Return at once; the work goes on");
  command->footer(
      "Running it again does no harm: a half-made restore is continued, and what runs is left\n"
      "alone. Ctrl-C stops the watching, not the work.\n\n"
      "Examples:\n"
      "  pgrevive start\n"
      "  pgrevive start --env-file staging.env --detach\n"
      "  pgrevive start --config /etc/pgbackrest.conf --stanza main");
  command->callback([&parser, detach] {
    parser.work = [&parser, detach] { return run_start(parser.global, *detach); };
  });
}

void add_stop(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("stop", "Stop all servers of the cluster");
  auto seconds = std::make_shared<int>(120);
  command->add_option("--timeout", *seconds, kStopSeconds)
      ->type_name("S")
      ->check(CLI::Range(1, 86400).description(""));
  command->footer("Examples:\n  pgrevive stop\n  pgrevive --cluster demo stop");
  command->callback([&parser, seconds] {
    parser.work = [&parser, seconds] {
      stop_cluster(existing_state_directory(parser.global), *seconds);
      return 0;
    };
  });
}

void add_restart(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("restart", "Stop the cluster and start it with what .env says");
  auto seconds = std::make_shared<int>(120);
  command->add_option("--timeout", *seconds, kStopSeconds)
      ->type_name("S")
      ->check(CLI::Range(1, 86400).description(""));
  command->footer("Example:\n  pgrevive restart");
  command->callback([&parser, seconds] {
    parser.work = [&parser, seconds] {
      // What is wrong in .env has to be known while the cluster still runs.
      std::vector<std::string> warnings;
      const cluster::Settings settings = chosen_settings(parser.global, warnings);
      for (const std::string& warning : warnings) err("warning: {}\n", warning);
      const cluster::StateDirectory directory = existing_state_directory(parser.global);
      stop_cluster(directory, *seconds);
      return launch_and_follow(settings, directory, false);
    };
  });
}

void add_supervise(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("supervise", "");
  command->group("");  // not for people: `start` calls it
  auto root = std::make_shared<std::filesystem::path>();
  command->add_option("STATE_DIRECTORY", *root)->required();
  command->callback([&parser, root] {
    parser.work = [root] { return cluster::supervise(cluster::StateDirectory(*root)); };
  });
}

}  // namespace pgrevive::cli
