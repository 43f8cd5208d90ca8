#include <cstdint>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/front_door.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/running_report.h"
#include "cluster/cluster.h"
#include "cluster/containers.h"
#include "cluster/doctor.h"

namespace pgrevive::cli {
namespace {

namespace containers = cluster::containers;

cluster::Settings settings(const GlobalOptions& global) {
  std::vector<std::string> warnings;
  auto chosen = containers::settings_for(chosen_settings(global, warnings));
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  return chosen;
}

struct ContainerWords {
  std::string work;
  std::string node;
  std::int64_t since_ms = 0;
  bool watch = false;
};

// What all nodes are: asked by a container that sees the volumes of all.
int look(const std::string& work, bool watch, bool json) {
  const auto directory = containers::seen_from_outside();
  std::error_code ignored;
  if (!std::filesystem::exists(directory.settings(), ignored)) {
    const auto status = cluster::read_status(directory);
    throw Error(ErrorKind::not_found, "nothing was restored yet" +
                                          (status && !status->error.empty()
                                               ? ", the last start failed: " + status->error
                                               : std::string()))
        .with_hint(fmt::format("`{} start` does it", front_door()));
  }
  if (work == "report") {
    const auto settings = cluster::from_json(read_file(directory.settings()));
    const auto status = cluster::read_status(directory).value_or(cluster::SupervisorStatus{});
    out("{}", running_report(settings, status));
    return 0;
  }
  if (work == "status") return watch ? watch_status(directory) : show_status(directory, json);
  return show_checks(directory, json);
}

// Asked by one that need not see a cluster.
int look_ahead(const cluster::Settings& settings, const std::string& work, bool json) {
  const auto directory = containers::where_volumes_are();
  if (work == "check") return 0;  // that the settings can be read
  if (work == "preview") return show_preview(settings, directory, json);
  return show_findings(cluster::examine(settings, directory), json);
}

int health(const std::string& node) {
  const std::string trouble = containers::trouble_of(node);
  out("{}\n", trouble.empty() ? "healthy" : trouble);
  return trouble.empty() ? 0 : 1;
}

}  // namespace

void add_container(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("container", "");
  // Not for people: the services of docker-compose.yml call it, and docker-runtime.sh.
  command->group("");
  auto words = std::make_shared<ContainerWords>();
  command->add_option("WORK", words->work)
      ->required()
      ->check(CLI::IsMember({"restore", "follow", "node", "adminer", "health", "status", "test",
                             "report", "check", "preview", "doctor"}));
  command->add_option("NODE", words->node);
  command->add_option("--since-ms", words->since_ms);
  command->add_flag("-w,--watch", words->watch);
  command->add_flag("--json", parser.json);
  command->callback([&parser, words] {
    parser.work = [&parser, words] {
      const std::string& work = words->work;
      if (work == "health") return health(words->node);
      if (work == "status" || work == "test" || work == "report")
        return look(work, words->watch, parser.json);
      const auto told = settings(parser.global);
      if (work == "restore") return containers::fill_volumes(told, watch_search());
      if (work == "follow")
        return follow_service(containers::where_volumes_are(), words->since_ms, STDIN_FILENO);
      if (work == "adminer") return containers::run_adminer(told);
      if (work == "node") return containers::run_node(told, words->node);
      return look_ahead(told, work, parser.json);
    };
  });
}

}  // namespace pgrevive::cli
