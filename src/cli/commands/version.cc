#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/print.h"

namespace pgrevive::cli {

void add_version(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("version", "Print the version");
  command->footer("Example:\n  pgrevive version");
  command->callback([&parser] {
    parser.work = [] {
      out("pgrevive {}\n", PGREVIVE_VERSION);
      return 0;
    };
  });
}

}  // namespace pgrevive::cli
