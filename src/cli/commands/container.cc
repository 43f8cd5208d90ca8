#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/running_report.h"
#include "cluster/cluster.h"
#include "cluster/containers.h"

namespace pgrevive::cli {
namespace {

namespace containers = cluster::containers;

cluster::Settings settings(const GlobalOptions& global) {
  std::vector<std::string> warnings;
  auto chosen = containers::settings_for(chosen_settings(global, warnings));
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  return chosen;
}

// What all nodes are: asked by a container that sees the volumes of all.
int look(const std::string& work, bool json) {
  const auto directory = containers::seen_from_outside();
  if (work == "report") {
    const auto settings = cluster::from_json(read_file(directory.settings()));
    const auto status = cluster::read_status(directory).value_or(cluster::SupervisorStatus{});
    out("{}", running_report(settings, status));
    return 0;
  }
  if (work == "status") return show_status(directory, json);
  return show_checks(directory, json);
}

int health(const std::string& node) {
  const std::string trouble = containers::trouble_of(node);
  out("{}\n", trouble.empty() ? "healthy" : trouble);
  return trouble.empty() ? 0 : 1;
}

}  // namespace

void add_container(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("container", "");
  command->group("");  // not for people: the services of compose.yaml call it
  auto work = std::make_shared<std::string>();
  auto node = std::make_shared<std::string>();
  command->add_option("WORK", *work)
      ->required()
      ->check(CLI::IsMember({"restore", "node", "adminer", "health", "status", "test", "report"}));
  command->add_option("NODE", *node);
  command->add_flag("--json", parser.json);
  command->callback([&parser, work, node] {
    parser.work = [&parser, work, node] {
      if (*work == "restore")
        return containers::fill_volumes(settings(parser.global), watch_search());
      if (*work == "adminer") return containers::run_adminer(settings(parser.global));
      if (*work == "node") return containers::run_node(settings(parser.global), *node);
      if (*work == "health") return health(*node);
      return look(*work, parser.json);
    };
  });
}

}  // namespace pgrevive::cli
