#include <algorithm>

#include <fmt/format.h>

#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/status_text.h"
#include "cluster/cluster.h"

namespace pgrevive::cli {

void add_status(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("status", "Show every node and what it does");
  command->add_flag("--json", parser.json, "As JSON");
  command->footer(
      "Exit status: 0 all is well, 1 something is not.\n\n"
      "Examples:\n  pgrevive status\n  pgrevive status --json");
  command->callback([&parser] {
    parser.work = [&parser] {
      const cluster::ClusterStatus status =
          cluster::collect_status(existing_state_directory(parser.global));
      const std::string text = parser.json ? cluster::to_json(status) : status_text(status);
      out("{}{}", text, text.ends_with('\n') ? "" : "\n");
      return healthy(status) ? 0 : 1;
    };
  });
}

void add_test(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("test", "Check that the cluster works");
  command->add_flag("--json", parser.json, "As JSON");
  command->footer(
      "Writes a row to the primary, sees it arrive on each replica, and removes it again.\n"
      "Exit status: 0 all checks passed, 1 one failed.\n\n"
      "Examples:\n  pgrevive test\n  pgrevive test --json");
  command->callback([&parser] {
    parser.work = [&parser] {
      const auto checks = cluster::run_checks(existing_state_directory(parser.global));
      out("{}", parser.json ? checks_json(checks) : checks_text(checks));
      const bool failed = std::ranges::any_of(checks, [](const cluster::Check& check) {
        return check.result == cluster::Check::Result::failed;
      });
      return failed ? 1 : 0;
    };
  });
}

}  // namespace pgrevive::cli
