#include <algorithm>

#include <fmt/format.h>

#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/lag_line.h"
#include "cli/lookout.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cli/status_text.h"
#include "cli/terminal.h"
#include "cluster/cluster.h"
#include "cluster/onlooker.h"
#include "cluster/problems.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kWatchEvery = 1s;
// Looks that may fail one after the other: a cluster that is thrown away and made anew has no files
// for a while.
constexpr int kPatience = 30;

}  // namespace

// Until somebody interrupts it. A terminal is asked for its size at each look, since a window may
// be made larger.
int watch_status(const cluster::StateDirectory& directory) {
  const StopOnSignal stop;
  const bool redrawn = stdout_terminal().interactive;
  const bool blocks = utf8_locale();
  cluster::Onlooker onlooker(directory);
  Lookout lookout(directory);
  bool good = false;
  std::string last;  // what was seen
  auto seen = std::chrono::steady_clock::now();
  int left = 0;                          // of the patience; none before there was a look
  if (redrawn) out("\x1b[?25l\x1b[2J");  // no cursor, an empty screen
  do {
    std::string text;
    try {
      const cluster::Sight sight = onlooker.look();
      left = kPatience;
      good = healthy(sight.status);
      text = last = watch_text(sight, lookout.look(sight, stop.token()), blocks);
      seen = std::chrono::steady_clock::now();
    } catch (const std::exception& error) {
      if (left-- <= 0) {
        if (redrawn) out("\x1b[?25h");
        throw;
      }
      good = false;
      text = stale_watch_text(
          last,
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - seen),
          error.what());
    }
    if (redrawn) {
      const Terminal terminal = stdout_terminal();
      out("{}", redraw(text, terminal.width, terminal.height));
    } else {
      out("{}\n", text);
    }
  } while (std::ferror(stdout) == 0 && stop.wait_for(kWatchEvery));
  if (redrawn) out("\x1b[?25h");
  return good ? 0 : 1;
}

int show_status(const cluster::StateDirectory& directory, bool json) {
  const cluster::ClusterStatus status = cluster::collect_status(directory);
  const std::string text = json ? cluster::to_json(status) : status_text(status);
  out("{}{}", text, text.ends_with('\n') ? "" : "\n");
  return healthy(status) ? 0 : 1;
}

int show_checks(const cluster::StateDirectory& directory, bool json, const std::string& published) {
  const auto checks = cluster::run_checks(directory, published);
  out("{}", json ? checks_json(checks) : checks_text(checks));
  const bool failed = std::ranges::any_of(checks, [](const cluster::Check& check) {
    return check.result == cluster::Check::Result::failed;
  });
  return failed ? 1 : 0;
}

void add_status(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("status", "Show every node and what it does");
  CLI::Option* json = command->add_flag("--json", parser.json, "As JSON");
  auto watch = std::make_shared<bool>(false);
  command->add_flag("-w,--watch", *watch, "Look again every second and draw it anew, until Ctrl-C")
      ->excludes(json);
  command->footer(
      "Exit status: 0 all is well, 1 something is not (with --watch: at the last look).\n\n"
      "Examples:\n  pgrevive status\n  pgrevive status --watch\n  pgrevive status --json");
  command->callback([&parser, watch] {
    parser.work = [&parser, watch] {
      const cluster::StateDirectory directory = existing_state_directory(parser.global);
      if (*watch) return watch_status(directory);
      return show_status(directory, parser.json);
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
      return show_checks(existing_state_directory(parser.global), parser.json);
    };
  });
}

}  // namespace pgrevive::cli
