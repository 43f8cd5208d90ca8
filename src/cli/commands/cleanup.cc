#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cluster/cluster.h"

namespace pgrevive::cli {
namespace {

int run_cleanup(const GlobalOptions& global, bool yes) {
  const cluster::StateDirectory directory = existing_state_directory(global);
  if (!yes) {
    out("This removes cluster {} with all its data, and cannot be undone:\n  {}\n"
        "The source repository is not touched. Type yes to go on: ",
        directory.root().filename().string(), directory.root().string());
    std::string answer;
    if (!std::getline(std::cin, answer)) out("\n");
    if (trim(answer) != "yes") {
      throw Error(ErrorKind::cancelled, "nothing was removed")
          .with_hint("type the word yes, or use --yes where nobody can be asked");
    }
  }
  const cluster::Cleanup done = cluster::cleanup(directory);
  for (const std::string& path : done.removed) out("removed {}\n", path);
  for (const std::string& path : done.kept) out("kept    {}\n", path);
  return 0;
}

}  // namespace

void add_cleanup(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("cleanup", "Stop the cluster and remove it with all its data");
  auto yes = std::make_shared<bool>(false);
  command->add_flag("-y,--yes", *yes, "Do not ask");
  command->footer(
      "Removes the cluster's own directory and nothing else. The repository it was restored from\n"
      "stays as it is.\n\n"
      "Examples:\n  pgrevive cleanup\n  pgrevive --cluster demo cleanup --yes");
  command->callback([&parser, yes] {
    parser.work = [&parser, yes] { return run_cleanup(parser.global, *yes); };
  });
}

}  // namespace pgrevive::cli
